/*
 * The suite of ZooKeeper's C client (Debian's libzookeeper-mt): its synchronous and asynchronous calls, watches, multi and
 * sessions.
 *
 *     suite --connect host:port,host:port --root /where/to/work
 *
 * Every check prints one line, "PASS name ms" or "FAIL name: why", and the last line counts them; the Go tests in e2e start the
 * program and relay the lines as subtests. Checks run one after another; each has a folder and a connection of its own.
 */
#define THREADED
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

enum {
    TIMEOUT_MS = 10000, /* session timeout of ordinary clients */
    LIMIT_MS = 40000,   /* how long a check waits for what must come; a limit, not a measurement */
    MAX_EVENTS = 4096,
    MAX_SERVERS = 9,
};

static const char *connect_string = "127.0.0.1:2181";
static char servers[MAX_SERVERS][64];
static int server_count;
static char root[512]; /* this check's folder */

/* A failed check jumps out of its function; its connections are left to the end of the program. */
static jmp_buf out;
static char reason[1024];

static void fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    longjmp(out, 1);
}

#define THAT(ok, ...) \
    do { \
        if (!(ok)) fail(__VA_ARGS__); \
    } while (0)

/* CODE checks what a call returned. */
#define CODE(call, want) \
    do { \
        int code_ = (call); \
        if (code_ != (want)) fail("line %d: %s: %s, want %s", __LINE__, #call, zerror(code_), zerror(want)); \
    } while (0)

static long long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void pause_ms(int ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

static const char *path(const char *name) {
    static char buffers[8][600];
    static int next;
    char *b = buffers[next++ % 8];
    snprintf(b, sizeof buffers[0], "%s/%s", root, name);
    return b;
}

/* What watchers and completions saw, written by the client's thread. */
struct event {
    int type, state;
    char path[600];
};

static struct {
    pthread_mutex_t mu;
    struct event events[MAX_EVENTS];
    int count, read;
    int completions, failures;
    int order_broken, last;
} seen = {.mu = PTHREAD_MUTEX_INITIALIZER};

static void seen_reset(void) {
    pthread_mutex_lock(&seen.mu);
    seen.count = seen.read = seen.completions = seen.failures = seen.order_broken = 0;
    seen.last = -1;
    pthread_mutex_unlock(&seen.mu);
}

static void watcher(zhandle_t *zh, int type, int state, const char *p, void *ctx) {
    (void)zh;
    (void)ctx;
    if (type == ZOO_SESSION_EVENT) return;
    pthread_mutex_lock(&seen.mu);
    if (seen.count < MAX_EVENTS) {
        struct event *e = &seen.events[seen.count++];
        e->type = type;
        e->state = state;
        snprintf(e->path, sizeof e->path, "%s", p ? p : "");
    }
    pthread_mutex_unlock(&seen.mu);
}

static void expect(int type, const char *p) {
    struct event e = {0};
    for (long long end = now_ms() + LIMIT_MS; now_ms() < end; pause_ms(5)) {
        pthread_mutex_lock(&seen.mu);
        int found = seen.read < seen.count;
        if (found) e = seen.events[seen.read++];
        pthread_mutex_unlock(&seen.mu);
        if (found) {
            THAT(e.type == type && strcmp(e.path, p) == 0, "event %d %s, want %d %s", e.type, e.path, type, p);
            return;
        }
    }
    fail("no event, want %d %s", type, p);
}

static void expect_none(void) {
    THAT(seen.read == seen.count, "an event nobody waits for: %d %s", seen.events[seen.read].type, seen.events[seen.read].path);
}

static void await_state(zhandle_t *zh, int state) {
    for (long long end = now_ms() + LIMIT_MS; now_ms() < end; pause_ms(5))
        if (zoo_state(zh) == state) return;
    fail("state %d, want %d", zoo_state(zh), state);
}

/* Connections of the present check, closed when it has passed. */
static zhandle_t *handles[64];
static int handle_count;

static zhandle_t *open_as(const char *hosts, int timeout_ms, const clientid_t *id) {
    zhandle_t *zh = zookeeper_init(hosts, watcher, timeout_ms, id, NULL, 0);
    THAT(zh != NULL, "zookeeper_init failed");
    handles[handle_count++] = zh;
    return zh;
}

static zhandle_t *open_any(void) {
    zhandle_t *zh = open_as(connect_string, TIMEOUT_MS, NULL);
    await_state(zh, ZOO_CONNECTED_STATE);
    return zh;
}

static void close_one(zhandle_t *zh) {
    for (int i = 0; i < handle_count; i++)
        if (handles[i] == zh) handles[i] = NULL;
    zookeeper_close(zh);
}

static void synced(int rc, const char *value, const void *data) {
    (void)value;
    __atomic_store_n((int *)data, rc == ZOK ? 1 : -1, __ATOMIC_SEQ_CST);
}

/* catch_up brings the connection's server up to date with what was written through others. */
static void catch_up(zhandle_t *zh) {
    static int done;
    __atomic_store_n(&done, 0, __ATOMIC_SEQ_CST);
    CODE(zoo_async(zh, root, synced, &done), ZOK);
    for (long long end = now_ms() + LIMIT_MS; now_ms() < end; pause_ms(1)) {
        int d = __atomic_load_n(&done, __ATOMIC_SEQ_CST);
        THAT(d >= 0, "sync failed");
        if (d > 0) return;
    }
    fail("sync was not answered");
}

static const char *server(int i) { return servers[i % server_count]; }

static int create(zhandle_t *zh, const char *p, const char *data) {
    return zoo_create(zh, p, data, data ? (int)strlen(data) : -1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
}

static void check_life(void) {
    zhandle_t *zh = open_any();
    struct Stat stat, after;
    char buf[64], name[600];
    int len = sizeof buf;
    CODE(zoo_create2(zh, path("a"), "one", 3, &ZOO_OPEN_ACL_UNSAFE, 0, name, sizeof name, &stat), ZOK);
    THAT(strcmp(name, path("a")) == 0, "created %s", name);
    THAT(stat.version == 0 && stat.dataLength == 3 && stat.czxid == stat.mzxid && stat.pzxid == stat.czxid, "stat of a new node");
    CODE(zoo_get(zh, path("a"), 0, buf, &len, &after), ZOK);
    THAT(len == 3 && memcmp(buf, "one", 3) == 0, "data of %d bytes", len);
    THAT(stat.czxid == after.czxid && stat.ctime == after.ctime && stat.pzxid == after.pzxid && stat.dataLength == after.dataLength,
        "stat of create2 is not that of get");
    CODE(zoo_set2(zh, path("a"), "four", 4, 0, &after), ZOK);
    THAT(after.version == 1 && after.mzxid > stat.mzxid, "stat after set");
    CODE(zoo_set(zh, path("a"), "x", 1, 0), ZBADVERSION);
    CODE(create(zh, path("a"), "x"), ZNODEEXISTS);
    CODE(create(zh, path("none/x"), "x"), ZNONODE);
    CODE(create(zh, path("a/b"), NULL), ZOK);
    CODE(zoo_delete(zh, path("a"), -1), ZNOTEMPTY);
    len = sizeof buf;
    CODE(zoo_get(zh, path("a/b"), 0, buf, &len, NULL), ZOK);
    THAT(len == -1, "null data has length %d", len);
    struct String_vector children;
    CODE(zoo_get_children2(zh, path("a"), 0, &children, &after), ZOK);
    THAT(children.count == 1 && strcmp(children.data[0], "b") == 0 && after.numChildren == 1, "children");
    deallocate_String_vector(&children);
    CODE(zoo_delete(zh, path("a/b"), 0), ZOK);
    CODE(zoo_delete(zh, path("a"), 1), ZOK);
    CODE(zoo_exists(zh, path("a"), 0, &after), ZNONODE);
}

static void check_kinds(void) {
    zhandle_t *zh = open_any();
    char name[600];
    struct Stat stat;
    CODE(zoo_create(zh, path("s"), "x", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, name, sizeof name), ZOK);
    THAT(strcmp(name, path("s0000000000")) == 0, "name %s", name);
    CODE(zoo_create(zh, path("e"), "x", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, name, sizeof name), ZOK);
    CODE(zoo_exists(zh, name, 0, &stat), ZOK);
    THAT(stat.ephemeralOwner == zoo_client_id(zh)->client_id, "owner");
    CODE(zoo_create2(zh, path("c"), "x", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_CONTAINER, name, sizeof name, &stat), ZOK);
    THAT(stat.ephemeralOwner == 0, "a container has an owner");
    CODE(zoo_create_ttl(zh, path("t"), "x", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 600000, name, sizeof name), ZOK);
    CODE(zoo_create2_ttl(zh, path("ts"), "x", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL, 600000, name, sizeof name, &stat), ZOK);
    THAT(strcmp(name, path("ts0000000004")) == 0, "name %s", name);
}

static void string_done(int rc, const char *value, const void *data) {
    (void)value;
    pthread_mutex_lock(&seen.mu);
    seen.completions++;
    if (rc != ZOK) seen.failures++;
    if ((int)(intptr_t)data <= seen.last) seen.order_broken++;
    seen.last = (int)(intptr_t)data;
    pthread_mutex_unlock(&seen.mu);
}

static void void_done(int rc, const void *data) { string_done(rc, NULL, data); }

static void stat_done(int rc, const struct Stat *stat, const void *data) {
    (void)stat;
    string_done(rc, NULL, data);
}

/* data_done wants the number that the call before it wrote. */
static void data_done(int rc, const char *value, int len, const struct Stat *stat, const void *data) {
    char want[16];
    snprintf(want, sizeof want, "%d", (int)(intptr_t)data - 1);
    if (rc == ZOK && (len != (int)strlen(want) || memcmp(value, want, len) != 0)) rc = ZDATAINCONSISTENCY;
    stat_done(rc, stat, data);
}

static void await_completions(int n) {
    for (long long end = now_ms() + LIMIT_MS; now_ms() < end; pause_ms(5)) {
        pthread_mutex_lock(&seen.mu);
        int done = seen.completions;
        pthread_mutex_unlock(&seen.mu);
        if (done == n) {
            THAT(seen.failures == 0, "%d of %d asynchronous calls failed", seen.failures, n);
            THAT(seen.order_broken == 0, "%d answers out of order", seen.order_broken);
            return;
        }
    }
    fail("%d of %d asynchronous calls were answered", seen.completions, n);
}

static void check_async(void) {
    zhandle_t *zh = open_any();
    int n = 0;
    char number[16];
    CODE(zoo_acreate(zh, path("a"), "-", 1, &ZOO_OPEN_ACL_UNSAFE, 0, string_done, (void *)(intptr_t)n++), ZOK);
    while (n < 1000) {
        snprintf(number, sizeof number, "%d", n);
        CODE(zoo_aset(zh, path("a"), number, (int)strlen(number), -1, stat_done, (void *)(intptr_t)n++), ZOK);
        CODE(zoo_aget(zh, path("a"), 0, data_done, (void *)(intptr_t)n++), ZOK);
    }
    CODE(zoo_aexists(zh, path("a"), 0, stat_done, (void *)(intptr_t)n++), ZOK);
    CODE(zoo_async(zh, path("a"), string_done, (void *)(intptr_t)n++), ZOK);
    CODE(zoo_adelete(zh, path("a"), -1, void_done, (void *)(intptr_t)n++), ZOK);
    await_completions(n);
}

static void check_watches(void) {
    zhandle_t *zh = open_as(server(0), TIMEOUT_MS, NULL);
    zhandle_t *writer = open_as(server(1), TIMEOUT_MS, NULL);
    await_state(zh, ZOO_CONNECTED_STATE);
    await_state(writer, ZOO_CONNECTED_STATE);
    char p[600], buf[16];
    int len = sizeof buf;
    struct String_vector children;
    snprintf(p, sizeof p, "%s", path("a"));
    CODE(zoo_wexists(zh, p, watcher, NULL, NULL), ZNONODE);
    CODE(create(writer, p, "1"), ZOK);
    expect(ZOO_CREATED_EVENT, p);
    CODE(zoo_wget(zh, p, watcher, NULL, buf, &len, NULL), ZOK);
    CODE(zoo_set(writer, p, "2", 1, -1), ZOK);
    expect(ZOO_CHANGED_EVENT, p);
    CODE(zoo_wget_children(zh, p, watcher, NULL, &children), ZOK);
    deallocate_String_vector(&children);
    char below[600];
    snprintf(below, sizeof below, "%s", path("a/b"));
    CODE(create(writer, below, "1"), ZOK);
    expect(ZOO_CHILD_EVENT, p);
    len = sizeof buf;
    CODE(zoo_wget(zh, below, watcher, NULL, buf, &len, NULL), ZOK);
    CODE(zoo_delete(writer, below, -1), ZOK);
    expect(ZOO_DELETED_EVENT, below);
    /* Removed watches are silent. */
    len = sizeof buf;
    CODE(zoo_wget(zh, p, watcher, NULL, buf, &len, NULL), ZOK);
    CODE(zoo_remove_watches(zh, p, ZWATCHTYPE_DATA, watcher, NULL, 0), ZOK);
    CODE(zoo_remove_watches(zh, p, ZWATCHTYPE_DATA, watcher, NULL, 0), ZNOWATCHER);
    CODE(zoo_set(writer, p, "3", 1, -1), ZOK);
    CODE(zoo_set(zh, p, "4", 1, -1), ZOK);
    expect_none();
}

/* break_connections ends every TCP connection of this process to a server, as a network fault would. */
static void break_connections(void) {
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && peer.sin_family == AF_INET) shutdown(fd, SHUT_RDWR);
    }
}

static void check_reconnect(void) {
    zhandle_t *zh = open_any();
    int64_t id = zoo_client_id(zh)->client_id;
    char a[600], e[600];
    snprintf(a, sizeof a, "%s", path("a"));
    snprintf(e, sizeof e, "%s", path("e"));
    CODE(zoo_create(zh, e, "x", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0), ZOK);
    CODE(zoo_wexists(zh, a, watcher, NULL, NULL), ZNONODE);
    for (int i = 0; i < 3; i++) {
        break_connections();
        int code;
        long long end = now_ms() + LIMIT_MS;
        while ((code = zoo_exists(zh, e, 0, NULL)) != ZOK && now_ms() < end) {
            THAT(code == ZCONNECTIONLOSS || code == ZOPERATIONTIMEOUT || code == ZINVALIDSTATE, "while reconnecting: %s", zerror(code));
            pause_ms(10);
        }
        CODE(code, ZOK);
        THAT(zoo_client_id(zh)->client_id == id, "another session");
    }
    CODE(create(zh, a, "x"), ZOK);
    expect(ZOO_CREATED_EVENT, a); /* set again by the client (setWatches) */
}

static void check_reattach(void) {
    zhandle_t *first = open_as(server(0), TIMEOUT_MS, NULL);
    await_state(first, ZOO_CONNECTED_STATE);
    CODE(zoo_create(first, path("e"), "x", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0), ZOK);
    clientid_t id = *zoo_client_id(first);
    clientid_t wrong = id;
    wrong.passwd[5] ^= 1;
    zhandle_t *thief = open_as(server(1), TIMEOUT_MS, &wrong);
    await_state(thief, ZOO_EXPIRED_SESSION_STATE);
    zhandle_t *second = open_as(server(1), TIMEOUT_MS, &id);
    await_state(second, ZOO_CONNECTED_STATE);
    THAT(zoo_client_id(second)->client_id == id.client_id, "another session");
    THAT(memcmp(zoo_client_id(second)->passwd, id.passwd, sizeof id.passwd) == 0, "another password");
    struct Stat stat;
    catch_up(second);
    CODE(zoo_exists(second, path("e"), 0, &stat), ZOK);
    THAT(stat.ephemeralOwner == id.client_id, "owner");
    close_one(second);
    zhandle_t *other = open_any();
    catch_up(other);
    CODE(zoo_exists(other, path("e"), 0, &stat), ZNONODE);
    zhandle_t *late = open_as(server(0), TIMEOUT_MS, &id);
    await_state(late, ZOO_EXPIRED_SESSION_STATE);
}

static void check_multi(void) {
    zhandle_t *zh = open_any();
    zoo_op_t ops[5];
    zoo_op_result_t results[5];
    char a[600], s[600], name[600];
    struct Stat stat;
    snprintf(a, sizeof a, "%s", path("a"));
    snprintf(s, sizeof s, "%s", path("s"));
    zoo_create_op_init(&ops[0], a, "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
    zoo_set_op_init(&ops[1], a, "2", 1, 0, &stat);
    zoo_check_op_init(&ops[2], a, 1);
    zoo_create_op_init(&ops[3], s, "x", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, name, sizeof name);
    zoo_delete_op_init(&ops[4], a, 1);
    CODE(zoo_multi(zh, 5, ops, results), ZOK);
    for (int i = 0; i < 5; i++) THAT(results[i].err == ZOK, "result %d: %s", i, zerror(results[i].err));
    THAT(stat.version == 1, "version %d", stat.version);
    THAT(strcmp(name, path("s0000000001")) == 0, "name %s", name);

    zoo_check_op_init(&ops[1], path("none"), 0);
    zoo_create_op_init(&ops[2], path("b"), "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
    CODE(zoo_multi(zh, 3, ops, results), ZNONODE);
    THAT(results[0].err == ZOK && results[1].err == ZNONODE && results[2].err == ZRUNTIMEINCONSISTENCY, "results %d %d %d", results[0].err,
        results[1].err, results[2].err);
    CODE(zoo_exists(zh, a, 0, &stat), ZNONODE);

    seen_reset();
    zoo_set_op_init(&ops[0], root, "x", 1, -1, NULL);
    CODE(zoo_amulti(zh, 1, ops, results, void_done, (void *)0), ZOK);
    await_completions(1);
}

static void auth_done(int rc, const void *data) { void_done(rc, data); }

static void check_acl(void) {
    zhandle_t *owner = open_any(), *other = open_any();
    struct ACL_vector acl;
    struct Stat stat;
    char buf[16];
    int len = sizeof buf;
    CODE(zoo_add_auth(owner, "digest", "anna:secret", 11, auth_done, (void *)0), ZOK);
    await_completions(1);
    CODE(zoo_create(owner, path("a"), "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZOK);
    CODE(zoo_create(other, path("b"), "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZINVALIDACL);
    catch_up(other);
    CODE(zoo_get(other, path("a"), 0, buf, &len, NULL), ZNOAUTH);
    CODE(zoo_set(other, path("a"), "y", 1, -1), ZNOAUTH);
    CODE(zoo_get_acl(owner, path("a"), &acl, &stat), ZOK);
    THAT(acl.count == 1 && strcmp(acl.data[0].id.scheme, "digest") == 0 && strncmp(acl.data[0].id.id, "anna:", 5) == 0, "acl");
    deallocate_ACL_vector(&acl);
    CODE(zoo_set_acl(owner, path("a"), 0, &ZOO_READ_ACL_UNSAFE), ZOK);
    len = sizeof buf;
    catch_up(other);
    CODE(zoo_get(other, path("a"), 0, buf, &len, NULL), ZOK);
    CODE(zoo_set(owner, path("a"), "y", 1, -1), ZNOAUTH);
}

static void check_expiry(void) {
    zhandle_t *owner = open_as(connect_string, 1500, NULL);
    await_state(owner, ZOO_CONNECTED_STATE);
    THAT(zoo_recv_timeout(owner) == 1500, "timeout %d", zoo_recv_timeout(owner));
    CODE(zoo_create(owner, path("e"), "x", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0), ZOK);
    /* Its pings keep an idle session for several timeouts. */
    pause_ms(4000);
    CODE(zoo_exists(owner, path("e"), 0, NULL), ZOK);
    zhandle_t *other = open_any();
    catch_up(other);
    CODE(zoo_wexists(other, path("e"), watcher, NULL, NULL), ZOK);
    close_one(owner);
    expect(ZOO_DELETED_EVENT, path("e"));
}

static void check_large(void) {
    zhandle_t *zh = open_any();
    static char data[1000000], back[1000000];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i * 7 + i / 251);
    int len = sizeof back;
    CODE(zoo_create(zh, path("a"), data, sizeof data, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
    CODE(zoo_get(zh, path("a"), 0, back, &len, NULL), ZOK);
    THAT(len == (int)sizeof data && memcmp(data, back, sizeof data) == 0, "%d bytes came back", len);
}

static void check_chroot(void) {
    zhandle_t *zh = open_any();
    CODE(create(zh, path("jail"), "x"), ZOK);
    catch_up(zh);
    char hosts[2048];
    snprintf(hosts, sizeof hosts, "%s%s", connect_string, path("jail"));
    zhandle_t *in = open_as(hosts, TIMEOUT_MS, NULL);
    await_state(in, ZOO_CONNECTED_STATE);
    CODE(zoo_wexists(in, "/x", watcher, NULL, NULL), ZNONODE);
    CODE(create(in, "/x", "1"), ZOK);
    expect(ZOO_CREATED_EVENT, "/x");
    catch_up(zh);
    CODE(zoo_exists(zh, path("jail/x"), 0, NULL), ZOK);
}

static const struct {
    const char *name;
    void (*run)(void);
} checks[] = {
    {"life", check_life},
    {"kinds", check_kinds},
    {"async", check_async},
    {"watches", check_watches},
    {"reconnect", check_reconnect},
    {"reattach", check_reattach},
    {"multi", check_multi},
    {"acl", check_acl},
    {"expiry", check_expiry},
    {"large", check_large},
    {"chroot", check_chroot},
};

/* make_folder makes the check's folder and what is above it. */
static void make_folder(const char *base, const char *name) {
    snprintf(root, sizeof root, "%s/%s", base, name);
    zhandle_t *zh = open_any();
    char p[512];
    for (char *slash = root; slash != NULL;) {
        slash = strchr(slash + 1, '/');
        snprintf(p, sizeof p, "%.*s", slash ? (int)(slash - root) : (int)sizeof p - 1, root);
        int code = create(zh, p, "");
        THAT(code == ZOK || code == ZNODEEXISTS, "create %s: %s", p, zerror(code));
    }
    close_one(zh);
}

static int run_check(const char *base, int i) {
    long long start = now_ms();
    handle_count = 0;
    seen_reset();
    if (setjmp(out) != 0) {
        printf("FAIL %s: %s\n", checks[i].name, reason);
        fflush(stdout);
        return 1;
    }
    make_folder(base, checks[i].name);
    checks[i].run();
    printf("PASS %s %lld\n", checks[i].name, now_ms() - start);
    fflush(stdout);
    for (int h = 0; h < handle_count; h++)
        if (handles[h]) zookeeper_close(handles[h]);
    return 0;
}

int main(int argc, char **argv) {
    const char *base = "/e2e-c";
    int failed = 0, n = (int)(sizeof checks / sizeof checks[0]);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--connect") == 0) connect_string = argv[i + 1];
        if (strcmp(argv[i], "--root") == 0) base = argv[i + 1];
    }
    for (const char *s = connect_string; *s && server_count < MAX_SERVERS;) {
        size_t len = strcspn(s, ",");
        snprintf(servers[server_count++], sizeof servers[0], "%.*s", (int)len, s);
        s += len + (s[len] == ',');
    }
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    for (int i = 0; i < n; i++) failed += run_check(base, i);
    printf("%d passed, %d failed, 0 skipped\n", n - failed, failed);
    fflush(stdout);
    _exit(failed ? 1 : 0); /* threads of connections that a failed check left behind are not waited for */
}
