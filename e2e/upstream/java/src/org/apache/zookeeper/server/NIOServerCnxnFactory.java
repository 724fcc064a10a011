package org.apache.zookeeper.server;

/** Stands in for ZooKeeper's default connection factory: what it starts is a Gopherwood. */
public class NIOServerCnxnFactory extends gopherwood.upstream.Connections {
}
