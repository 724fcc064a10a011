package gopherwood.upstream;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.StandardOpenOption;
import org.junit.platform.engine.TestSource;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;

/**
 * Notes which test starts which server, in the file starts.txt of the log folder, a line each: {@code class#method} or {@code class}.
 * So a test that passes without a Gopherwood can be told from one that passes against one. JUnit finds this class by its services file.
 */
public final class Starts implements TestExecutionListener {
    private static volatile String current = "?";

    @Override
    public void executionStarted(TestIdentifier test) {
        TestSource source = test.getSource().orElse(null);
        if (source instanceof MethodSource) {
            current = test.getUniqueIdObject().getSegments().stream()
                    .filter(s -> s.getType().equals("class")).map(s -> s.getValue()).findFirst().orElse("?")
                    + "#" + ((MethodSource) source).getMethodName();
        } else if (source instanceof ClassSource) {
            current = ((ClassSource) source).getClassName();
        }
    }

    static void note() {
        File file = new File(System.getProperty("gopherwood.logs"), "starts.txt");
        try {
            Files.write(file.toPath(), (current + "\n").getBytes(StandardCharsets.UTF_8), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
