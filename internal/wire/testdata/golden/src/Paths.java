import java.nio.charset.StandardCharsets;
import org.apache.zookeeper.common.PathUtils;

/** Prints what ZooKeeper's PathUtils thinks of paths and characters: the file zk/testdata/paths.txt. */
public class Paths {
    private static final String[] PATHS = {
        "", "/", "//", "/a", "a", "a/b", "/a/", "/a/b", "/a//b", "//a", "/a//", ".", "..", "/.", "/..", "/...", "/./a", "/../a", "/a/.",
        "/a/..", "/a/...", "/a/./b", "/a/../b", "/a/.../b", "/a/.b", "/a/..b", "/a/b.", "/a/b..", "/a/b../c", "/a/..b/c", "/.a/..a/a..",
        "/zookeeper/config", "/a b", "/ ", "/a\u0000", "/a\u0000b/", "/\u00e4/\u6f22", "/a\ud83d\ude00", "/a\ufffd", "/a/\u007f/", "/a\n", "/\t/",
    };

    public static void main(String[] args) {
        System.out.println("# Written by Paths.java (internal/wire/testdata/golden); do not edit.");
        System.out.println("# path: UTF-8 in hex, then whether it is valid, then whether it is valid for a sequential node");
        for (String p : PATHS) {
            StringBuilder s = new StringBuilder("path ");
            for (byte x : p.getBytes(StandardCharsets.UTF_8)) {
                s.append(String.format("%02x", x));
            }
            System.out.println((p.isEmpty() ? "path -" : s) + " " + valid(p, false) + " " + valid(p, true));
        }
        System.out.println("# chars: first and last code point, in hex, of each range that may stand between two letters");
        int from = -1;
        for (int c = 0; c <= Character.MAX_CODE_POINT + 1; c++) {
            boolean ok = c <= Character.MAX_CODE_POINT && valid("/a" + Character.toString(c) + "b", false);
            if (ok && from < 0) {
                from = c;
            } else if (!ok && from >= 0) {
                System.out.printf("chars %x %x%n", from, c - 1);
                from = -1;
            }
        }
    }

    private static boolean valid(String path, boolean sequential) {
        try {
            PathUtils.validatePath(path, sequential);
            return true;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }
}
