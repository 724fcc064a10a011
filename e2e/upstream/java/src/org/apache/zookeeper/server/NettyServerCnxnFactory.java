package org.apache.zookeeper.server;

import io.netty.buffer.ByteBufAllocator;

/** Stands in for ZooKeeper's other connection factory, so that a test that asks for it, or for the default again, has a Gopherwood as well. */
public class NettyServerCnxnFactory extends gopherwood.upstream.Connections {
    public static final String PORT_UNIFICATION_KEY = "zookeeper.client.portUnification";

    /** Does nothing: the tests' allocator looks for leaks of Netty's buffers, and no Netty serves here. */
    public static void setTestAllocator(ByteBufAllocator allocator) {
    }

    /** Does nothing, as {@link #setTestAllocator}. */
    public static void clearTestAllocator() {
    }
}
