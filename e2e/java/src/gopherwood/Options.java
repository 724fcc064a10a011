package gopherwood;

import java.util.List;

/**
 * The command line of a suite.
 *
 * @param servers the ensemble's client addresses, {@code host:port} each
 * @param root a path under which every check gets a folder of its own
 * @param only when not null, run only checks whose name holds it
 * @param parallel how many checks run at a time
 */
record Options(List<String> servers, String root, String only, int parallel) {
    static Options parse(String[] args) {
        String connect = "127.0.0.1:2181";
        String root = "/e2e-java";
        String only = null;
        int parallel = 4;
        for (int i = 0; i + 1 < args.length; i += 2) {
            switch (args[i]) {
                case "--connect" -> connect = args[i + 1];
                case "--root" -> root = args[i + 1];
                case "--only" -> only = args[i + 1];
                case "--parallel" -> parallel = Integer.parseInt(args[i + 1]);
                default -> throw new IllegalArgumentException("unknown option " + args[i]);
            }
        }
        return new Options(List.of(connect.split(",")), root, only, parallel);
    }

    String connect() {
        return String.join(",", servers);
    }
}
