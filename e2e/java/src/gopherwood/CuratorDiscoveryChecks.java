package gopherwood;

import static gopherwood.Suite.equal;
import static gopherwood.Suite.eventually;
import static gopherwood.Suite.that;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;

/** Service discovery: registering, asking, caching, choosing. */
final class CuratorDiscoveryChecks {
    private CuratorDiscoveryChecks() {}

    static void add(Suite s) {
        s.check("discovery/register", CuratorDiscoveryChecks::register);
        s.check("discovery/cache", CuratorDiscoveryChecks::cache);
        s.check("discovery/provider", CuratorDiscoveryChecks::provider);
    }

    private static ServiceInstance<String> instance(String name, int port) throws Exception {
        return ServiceInstance.<String>builder().name(name).address("127.0.0.1").port(port).payload("p" + port).build();
    }

    private static ServiceDiscovery<String> discovery(Env env, int server) throws Exception {
        CuratorFramework c = Curators.client(env, env.server(server), Env.TIMEOUT_MS);
        c.sync().forPath(env.root);
        ServiceDiscovery<String> d = env.keep(ServiceDiscoveryBuilder.builder(String.class).client(c).basePath(env.path("services")).build());
        d.start();
        return d;
    }

    private static void register(Env env) throws Exception {
        ServiceDiscovery<String> a = discovery(env, 0);
        ServiceDiscovery<String> b = discovery(env, 1);
        ServiceInstance<String> one = instance("web", 1);
        a.registerService(one);
        a.registerService(instance("db", 2));
        eventually("names", () -> new HashSet<>(b.queryForNames()).equals(Set.of("web", "db")));
        eventually("instance", () -> b.queryForInstances("web").equals(List.of(one)));
        equal(b.queryForInstance("web", one.getId()).getPayload(), "p1", "payload");
        a.unregisterService(one);
        eventually("unregistered", () -> b.queryForInstances("web").isEmpty());
        a.close();
        eventually("closed", () -> b.queryForInstances("db").isEmpty());
    }

    private static void cache(Env env) throws Exception {
        ServiceDiscovery<String> a = discovery(env, 0);
        ServiceDiscovery<String> b = discovery(env, 1);
        ServiceCache<String> cache = env.keep(b.serviceCacheBuilder().name("web").build());
        cache.start();
        for (int i = 1; i <= 3; i++) {
            a.registerService(instance("web", i));
        }
        eventually("cached", () -> cache.getInstances().size() == 3);
        a.close();
        eventually("emptied", () -> cache.getInstances().isEmpty());
    }

    private static void provider(Env env) throws Exception {
        ServiceDiscovery<String> d = discovery(env, 0);
        d.registerService(instance("web", 1));
        d.registerService(instance("web", 2));
        ServiceProvider<String> p = env.keep(d.serviceProviderBuilder().serviceName("web").build());
        p.start();
        eventually("both are known", () -> p.getAllInstances().size() == 2);
        Set<Integer> ports = new HashSet<>();
        for (int i = 0; i < 4; i++) {
            ports.add(p.getInstance().getPort());
        }
        that(ports.equals(Set.of(1, 2)), "chosen in turn: " + ports);
    }
}
