package gopherwood;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;

/**
 * A TCP proxy on loopback that can be cut: what stands between a client and its server in a check that needs a
 * connection to break without the client's or the server's help.
 */
final class Proxy implements AutoCloseable {
    private final ServerSocket listener;
    private final List<Socket> sockets = new ArrayList<>();
    private volatile String target;
    private volatile boolean cut;

    Proxy(String target) throws IOException {
        this.target = target;
        this.listener = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
        daemon("accept", this::accept);
    }

    String address() {
        return "127.0.0.1:" + listener.getLocalPort();
    }

    /** Ends every connection; new ones are closed at once until {@link #mend}. */
    void cut() {
        cut = true;
        drop();
    }

    /** Lets new connections through again, to the same server or another one. */
    void mend(String newTarget) {
        target = newTarget;
        cut = false;
    }

    void mend() {
        cut = false;
    }

    /** Ends the present connections only. */
    void drop() {
        synchronized (sockets) {
            sockets.forEach(Proxy::quietly);
            sockets.clear();
        }
    }

    @Override
    public void close() {
        cut();
        quietly(listener);
    }

    private void accept() {
        while (!listener.isClosed()) {
            try {
                Socket in = listener.accept();
                if (cut) {
                    quietly(in);
                    continue;
                }
                int colon = target.lastIndexOf(':');
                Socket to = new Socket();
                try {
                    to.connect(new InetSocketAddress(target.substring(0, colon), Integer.parseInt(target.substring(colon + 1))));
                } catch (IOException e) {
                    quietly(in);
                    quietly(to);
                    continue;
                }
                in.setTcpNoDelay(true);
                to.setTcpNoDelay(true);
                synchronized (sockets) {
                    sockets.add(in);
                    sockets.add(to);
                }
                daemon("up", () -> pump(in, to));
                daemon("down", () -> pump(to, in));
                if (cut) {
                    drop();
                }
            } catch (IOException e) {
                return;
            }
        }
    }

    private static void pump(Socket from, Socket to) {
        byte[] buf = new byte[64 << 10];
        try {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            for (int n; (n = in.read(buf)) > 0; ) {
                out.write(buf, 0, n);
            }
        } catch (IOException e) {
            // The other end is told below.
        }
        quietly(from);
        quietly(to);
    }

    private static void daemon(String name, Runnable r) {
        Thread t = new Thread(r, "proxy-" + name);
        t.setDaemon(true);
        t.start();
    }

    private static void quietly(AutoCloseable c) {
        try {
            c.close();
        } catch (Exception e) {
            // Closing twice harms nobody.
        }
    }
}
