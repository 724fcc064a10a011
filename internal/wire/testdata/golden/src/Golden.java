import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.apache.jute.BinaryOutputArchive;
import org.apache.jute.Record;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.MultiOperationRecord;
import org.apache.zookeeper.MultiResponse;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.proto.*;

/** Prints every record of the client protocol with fixed values: name, space, hex. golden_test.go has the same values. */
public class Golden {
    private static final PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    private static final byte[] DATA = {0, 1, 2, (byte) 0xfe, (byte) 0xff};
    private static final byte[] EMPTY = {};
    private static final byte[] PASSWD = {15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
    private static final List<ACL> WORLD = Collections.singletonList(new ACL(31, new Id("world", "anyone")));
    private static final List<ACL> ACLS = Arrays.asList(
        new ACL(1, new Id("digest", "ann:zLZSDvNnhkl8BGGJGm1vRgz0E4M=")),
        new ACL(16, new Id("ip", "10.0.0.0/8")),
        new ACL(0, new Id("auth", "")));
    private static final Stat STAT = new Stat(
        0x0102030405060708L, 0x1112131415161718L, 1700000000000L, 1700000000001L,
        3, -4, 5, 0x7172737475767778L, 7, 8, Long.MIN_VALUE);

    public static void main(String[] args) throws IOException {
        out.println("# Written by Golden.java (see README.md); do not edit.");
        session();
        creates();
        nodes();
        watches();
        auth();
        multis();
        out.flush();
    }

    private static void session() throws IOException {
        put("RequestHeader", new RequestHeader(0x01020304, 4));
        put("RequestHeader/ping", new RequestHeader(-2, 11));
        put("RequestHeader/close", new RequestHeader(7, -11));
        put("ReplyHeader", new ReplyHeader(7, 0x0102030405060708L, -101));
        put("ReplyHeader/event", new ReplyHeader(-1, -1, 0));
        put("ErrorResponse", new ErrorResponse(-110));
        put("ErrorResponse/ok", new ErrorResponse(0));

        ConnectRequest q = new ConnectRequest(0, 0x0102030405060708L, 30000, 0x1112131415161718L, PASSWD, true);
        put("ConnectRequest", q);
        hex("ConnectRequest/old", withoutLast(bytes(q)));
        put("ConnectRequest/new", new ConnectRequest(0, 0, 6000, 0, new byte[16], false));
        put("ConnectRequest/null", new ConnectRequest(0, 0, 6000, 0, null, false));
        ConnectResponse r = new ConnectResponse(0, 40000, 0x1112131415161718L, PASSWD, true);
        put("ConnectResponse", r);
        hex("ConnectResponse/old", withoutLast(bytes(r)));
        put("ConnectResponse/expired", new ConnectResponse(0, 0, 0, new byte[16], false));
    }

    private static void creates() throws IOException {
        put("CreateRequest", new CreateRequest("/a/b", DATA, WORLD, 0));
        put("CreateRequest/acls", new CreateRequest("/a/\u00e4\u6f22-", EMPTY, ACLS, 3));
        put("CreateRequest/null", new CreateRequest("/a", null, null, 4));
        put("CreateRequest/empty", new CreateRequest("", EMPTY, Collections.emptyList(), -1));
        put("CreateTTLRequest", new CreateTTLRequest("/a/t", DATA, WORLD, 5, 86400000L));
        put("CreateResponse", new CreateResponse("/a/b0000000001"));
        put("Create2Response", new Create2Response("/a/b", STAT));
    }

    private static void nodes() throws IOException {
        put("DeleteRequest", new DeleteRequest("/a/b", -1));
        put("ExistsRequest", new ExistsRequest("/a/b", true));
        put("ExistsResponse", new ExistsResponse(STAT));
        put("GetDataRequest", new GetDataRequest("/a/b", true));
        put("GetDataRequest/plain", new GetDataRequest("/", false));
        put("GetDataResponse", new GetDataResponse(DATA, STAT));
        put("GetDataResponse/null", new GetDataResponse(null, new Stat()));
        put("GetDataResponse/empty", new GetDataResponse(EMPTY, STAT));
        put("SetDataRequest", new SetDataRequest("/a/b", DATA, 17));
        put("SetDataRequest/null", new SetDataRequest("/a/b", null, -1));
        put("SetDataResponse", new SetDataResponse(STAT));
        put("GetACLRequest", new GetACLRequest("/a/b"));
        put("GetACLResponse", new GetACLResponse(ACLS, STAT));
        put("SetACLRequest", new SetACLRequest("/a/b", ACLS, 2));
        put("SetACLResponse", new SetACLResponse(STAT));
        put("GetChildrenRequest", new GetChildrenRequest("/a", false));
        put("GetChildrenResponse", new GetChildrenResponse(Arrays.asList("b", "", "\u00e4\u6f22")));
        put("GetChildrenResponse/empty", new GetChildrenResponse(Collections.emptyList()));
        put("GetChildren2Request", new GetChildren2Request("/a", true));
        put("GetChildren2Response", new GetChildren2Response(Arrays.asList("b", "c"), STAT));
        put("GetAllChildrenNumberRequest", new GetAllChildrenNumberRequest("/a"));
        put("GetAllChildrenNumberResponse", new GetAllChildrenNumberResponse(1000000));
        put("GetEphemeralsRequest", new GetEphemeralsRequest("/a"));
        put("GetEphemeralsResponse", new GetEphemeralsResponse(Arrays.asList("/a/e1", "/a/e2")));
        put("SyncRequest", new SyncRequest("/a"));
        put("SyncResponse", new SyncResponse("/a"));
        put("CheckVersionRequest", new CheckVersionRequest("/a/b", 9));
        put("ReconfigRequest", new ReconfigRequest("server.4=h:1:2;3", "1,2", null, -1));
        put("ReconfigRequest/members", new ReconfigRequest(null, "", "server.1=h:1:2;3", 0x100000003L));
    }

    private static void watches() throws IOException {
        List<String> none = Collections.emptyList();
        put("SetWatches", new SetWatches(0x0102030405060708L, Arrays.asList("/a", "/b"), none, Arrays.asList("/c")));
        put("SetWatches/null", new SetWatches(1, null, null, null));
        put("SetWatches2", new SetWatches2(5, Arrays.asList("/a"), Arrays.asList("/b"), Arrays.asList("/c"),
            Arrays.asList("/d"), Arrays.asList("/e", "/")));
        put("AddWatchRequest", new AddWatchRequest("/a", 1));
        put("CheckWatchesRequest", new CheckWatchesRequest("/a", 3));
        put("RemoveWatchesRequest", new RemoveWatchesRequest("/a", 5));
        put("WatcherEvent", new WatcherEvent(3, 3, "/a/b"));
        put("WatcherEvent/state", new WatcherEvent(-1, -112, ""));
    }

    private static void auth() throws IOException {
        put("AuthPacket", new AuthPacket(0, "digest", "ann:secret".getBytes(StandardCharsets.UTF_8)));
        put("WhoAmIResponse", new WhoAmIResponse(Arrays.asList(new ClientInfo("ip", "127.0.0.1"), new ClientInfo("digest", "ann"))));
        put("GetSASLRequest", new GetSASLRequest(DATA));
        put("GetSASLRequest/empty", new GetSASLRequest(EMPTY));
        put("SetSASLResponse", new SetSASLResponse(DATA));
        put("SetSASLResponse/null", new SetSASLResponse(null));
    }

    private static void multis() throws IOException {
        put("MultiHeader", new MultiHeader(14, false, -1));
        put("MultiHeader/end", new MultiHeader(-1, true, -1));
        put("MultiRequest", new MultiOperationRecord(Arrays.asList(
            Op.create("/a", DATA, WORLD, CreateMode.PERSISTENT),
            Op.create("/e-", null, ACLS, CreateMode.EPHEMERAL_SEQUENTIAL),
            Op.create("/c", EMPTY, WORLD, CreateMode.CONTAINER),
            Op.create("/t", DATA, WORLD, CreateMode.PERSISTENT_WITH_TTL, 5000L),
            Op.delete("/a", 3),
            Op.setData("/a", null, -1),
            Op.check("/a", 0))));
        put("MultiRequest/read", new MultiOperationRecord(Arrays.asList(Op.getData("/a"), Op.getChildren("/"))));
        put("MultiRequest/empty", new MultiOperationRecord());
        put("MultiResponse", results(
            new OpResult.CreateResult("/a"),
            new OpResult.CreateResult("/c", STAT),
            new OpResult.DeleteResult(),
            new OpResult.SetDataResult(STAT),
            new OpResult.CheckResult()));
        put("MultiResponse/failed", results(
            new OpResult.ErrorResult(0), new OpResult.ErrorResult(-110), new OpResult.ErrorResult(-2)));
        put("MultiResponse/read", results(
            new OpResult.GetDataResult(DATA, STAT),
            new OpResult.GetDataResult(null, STAT),
            new OpResult.GetChildrenResult(Arrays.asList("x", "y")),
            new OpResult.ErrorResult(-101)));
        put("MultiResponse/empty", results());
    }

    private static MultiResponse results(OpResult... all) {
        MultiResponse r = new MultiResponse();
        for (OpResult x : all) {
            r.add(x);
        }
        return r;
    }

    private static void put(String name, Record r) throws IOException {
        hex(name, bytes(r));
    }

    private static byte[] bytes(Record r) throws IOException {
        ByteArrayOutputStream b = new ByteArrayOutputStream();
        r.serialize(BinaryOutputArchive.getArchive(b), "x");
        return b.toByteArray();
    }

    /** Clients and servers up to 3.3 knew no readOnly byte; the record's class always writes it. */
    private static byte[] withoutLast(byte[] b) {
        return Arrays.copyOf(b, b.length - 1);
    }

    private static void hex(String name, byte[] b) {
        StringBuilder s = new StringBuilder(name).append(' ');
        for (byte x : b) {
            s.append(String.format("%02x", x));
        }
        out.println(s);
    }
}
