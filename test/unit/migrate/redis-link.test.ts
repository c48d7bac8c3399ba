/** The client of Redis' protocol: against a server of ours, and against scripted peers that do what no server should. */
import { createServer, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { MEMORY_DB } from "../../../src/config.js";
import { LineLog } from "../../../src/log.js";
import { LinkClosed, LinkError, RedisLink } from "../../../src/migrate/redis-link.js";
import { toBytes } from "../../../src/options/kinds.js";
import { DEFAULT_OPTIONS } from "../../../src/options/table.js";
import { Server } from "../../../src/server.js";

const HOST = "127.0.0.1";

describe("with a server of ours", () => {
  let server: Server;

  beforeAll(async () => {
    const options = { ...DEFAULT_OPTIONS, bind: [HOST], port: 0, db: MEMORY_DB, requirepass: toBytes("pass wörd") };
    server = await Server.start(options, new LineLog("warning"));
  });

  afterAll(() => server.shutdown());

  async function connect(): Promise<RedisLink> {
    const link = await RedisLink.connect({ host: HOST, port: server.port, password: "pass wörd" });
    onTestFinished(() => link.close());
    return link;
  }

  test("replies of every kind", async () => {
    const link = await connect();
    expect(await link.ask("PING")).toEqual(Buffer.from("PONG"));
    expect(await link.ask("SET", "k", "value")).toEqual(Buffer.from("OK"));
    expect(await link.ask("GET", "k")).toEqual(Buffer.from("value"));
    expect(await link.ask("SETBIT", "b", 7, 1)).toBe(0);
    expect(await link.ask("PTTL", "k")).toBe(-1);
    expect(await link.ask("GET", "missing")).toBeNull();
    expect(await link.ask("MGET", "k", "missing")).toEqual([Buffer.from("value"), null]);
    expect(await link.ask("KEYS", "nothing*")).toEqual([]);
    await expect(link.ask("NOSUCH")).rejects.toThrow(
      new LinkError("ERR unknown command 'NOSUCH', with args beginning with: "),
    );
    expect(await link.ask("PING")).toEqual(Buffer.from("PONG"));
  });

  test("arguments and bulks are bytes", async () => {
    const link = await connect();
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    await link.ask("SET", bytes, bytes);
    expect(await link.ask("GET", bytes)).toEqual(Buffer.from(bytes));
    await link.ask("SET", "", "");
    expect(await link.ask("GET", "")).toEqual(Buffer.alloc(0));
    await link.ask("SET", "ключ", "значение");
    expect(await link.ask("GET", Buffer.from("ключ"))).toEqual(Buffer.from("значение"));
  });

  test("a bulk of many chunks comes back as it was, and small ones behind it", async () => {
    const link = await connect();
    const large = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7919) % 251));
    const replies = await link.askAll([
      ["SET", "large", large],
      ["GET", "large"],
      ["STRLEN", "large"],
      ["GET", "large"],
    ]);
    expect(replies[0]).toEqual(Buffer.from("OK"));
    expect(large.equals(replies[1] as Buffer)).toBe(true);
    expect(replies[2]).toBe(3_000_000);
    expect(large.equals(replies[3] as Buffer)).toBe(true);
  });

  test("requests sent at once are answered in their order, errors as values", async () => {
    const link = await connect();
    const requests = Array.from({ length: 20_000 }, (_, i) => (i % 100 === 50 ? ["NOSUCH"] : ["ECHO", `number ${i}`]));
    const replies = await link.askAll(requests);
    expect(link.owed).toBe(0);
    expect(replies).toHaveLength(20_000);
    const wrong = replies.filter((reply, i) =>
      i % 100 === 50 ? !(reply instanceof LinkError) : (reply as Buffer).toString() !== `number ${i}`,
    );
    expect(wrong).toEqual([]);
    const both = [
      link.ask("ECHO", "a"),
      link.askAll([
        ["ECHO", "b"],
        ["ECHO", "c"],
      ]),
      link.ask("ECHO", "d"),
    ];
    expect(link.owed).toBe(4);
    expect(await Promise.all(both)).toEqual([Buffer.from("a"), [Buffer.from("b"), Buffer.from("c")], Buffer.from("d")]);
  });

  test("an error inside an array is a value", async () => {
    const link = await connect();
    await link.askAll([["MULTI"], ["SET", "k", "x"], ["SETBIT", "k", "nonsense", 1]]);
    const [set, error] = (await link.ask("EXEC")) as unknown[];
    expect(set).toEqual(Buffer.from("OK"));
    expect(error).toEqual(new LinkError("ERR bit offset is not an integer or out of range"));
    expect(error).toBeInstanceOf(LinkError);
  });

  test("both ends are on this machine", async () => {
    expect((await connect()).isLocal).toBe(true);
  });

  test("a wrong password, and none, are refused", async () => {
    await expect(RedisLink.connect({ host: HOST, port: server.port, password: "wrong" })).rejects.toThrow(
      new LinkError("WRONGPASS invalid username-password pair or user is disabled."),
    );
    const link = await RedisLink.connect({ host: HOST, port: server.port });
    await expect(link.ask("GET", "k")).rejects.toThrow(new LinkError("NOAUTH Authentication required."));
    link.close();
  });

  test("a password that a server has not is an error, unless there may be none", async () => {
    const options = { ...DEFAULT_OPTIONS, bind: [HOST], port: 0, db: MEMORY_DB };
    const open = await Server.start(options, new LineLog("warning"));
    onTestFinished(() => open.shutdown());
    const there = { host: HOST, port: open.port, password: "secret" };
    await expect(RedisLink.connect(there)).rejects.toThrow(/without any password configured/);
    const link = await RedisLink.connect({ ...there, mayBeOpen: true });
    expect(String(await link.ask("PING"))).toBe("PONG");
    link.close();
    await expect(RedisLink.connect({ ...there, port: server.port, mayBeOpen: true })).rejects.toThrow(/^WRONGPASS/);
  });

  test("after close nothing is sent any more", async () => {
    const link = await connect();
    const late = link.ask("GET", "k");
    link.close();
    await expect(late).rejects.toThrow(LinkClosed);
    await expect(link.ask("PING")).rejects.toThrow(LinkClosed);
    await expect(link.askAll([["PING"]])).rejects.toThrow(LinkClosed);
    link.close();
  });

  test("a connection that the server ends rejects who waits", async () => {
    const link = await connect();
    const id = (await link.ask("CLIENT", "ID")) as number;
    const other = await connect();
    await other.ask("CLIENT", "KILL", "ID", id);
    await expect(link.ask("PING")).rejects.toThrow(/^127\.0\.0\.1:\d+: /);
  });
});

describe("with a peer that", () => {
  /** Connects to a peer that answers the first bytes it gets in its own way. */
  async function linkTo(answer: (socket: Socket) => void, silenceMs = 60_000): Promise<RedisLink> {
    const peer = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => answer(socket));
    });
    onTestFinished(() => void peer.close());
    const port = await new Promise<number>((resolve) => {
      peer.listen(0, HOST, () => resolve((peer.address() as { port: number }).port));
    });
    const link = await RedisLink.connect({ host: HOST, port, silenceMs });
    onTestFinished(() => link.close());
    return link;
  }

  test("answers byte by byte: the same replies", async () => {
    const answer = "+OK\r\n$5\r\nva\r\nl\r\n*3\r\n:-7\r\n$-1\r\n*2\r\n-ERR inner\r\n$0\r\n\r\n*-1\r\n";
    const link = await linkTo(async (socket) => {
      socket.setNoDelay(true);
      for (const byte of Buffer.from(answer)) {
        socket.write(Buffer.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    expect(await link.askAll([["A"], ["B"], ["C"], ["D"]])).toEqual([
      Buffer.from("OK"),
      Buffer.from("va\r\nl"),
      [-7, null, [new LinkError("ERR inner"), Buffer.alloc(0)]],
      null,
    ]);
  });

  test.each([
    ["speaks another protocol", "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ["speaks it within an array", "*2\r\n+OK\r\n?no\r\n"],
    ["announces an array of more elements than can be", "*99999999999\r\n"],
  ])("%s: whoever waits is told", async (_what, answer) => {
    const link = await linkTo((socket) => socket.write(answer));
    await expect(link.ask("PING")).rejects.toThrow(/^127\.0\.0\.1:\d+: what it sends is not Redis' protocol \(/);
  });

  test("answers what nobody asked: the connection ends", async () => {
    const link = await linkTo((socket) => socket.write("+OK\r\n+OK\r\n"));
    expect(await link.ask("PING")).toEqual(Buffer.from("OK"));
    await expect(link.ask("PING")).rejects.toThrow(/it sent a reply that nobody asked for|it closed the connection/);
  });

  test("closes amid a reply", async () => {
    const link = await linkTo((socket) => socket.end("$10\r\nabc"));
    await expect(link.ask("GET", "k")).rejects.toThrow(/^127\.0\.0\.1:\d+: it closed the connection$/);
  });

  test("resets the connection", async () => {
    const link = await linkTo((socket) => socket.resetAndDestroy());
    await expect(link.ask("GET", "k")).rejects.toThrow(LinkClosed);
  });

  test("says nothing is given up, while one that owes nothing may be silent", async () => {
    const link = await linkTo(() => {}, 100);
    await new Promise((resolve) => setTimeout(resolve, 250));
    await expect(link.ask("PING")).rejects.toThrow(/^127\.0\.0\.1:\d+: it has not answered for 0\.1 s$/);
  });

  test("is not there", async () => {
    const gone = createServer();
    const port = await new Promise<number>((resolve) => {
      gone.listen(0, HOST, () => resolve((gone.address() as { port: number }).port));
    });
    await new Promise((resolve) => gone.close(resolve));
    await expect(RedisLink.connect({ host: HOST, port })).rejects.toThrow(
      new LinkClosed(`can't connect to 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`),
    );
    await expect(RedisLink.connect({ host: "no-such-host.invalid", port })).rejects.toThrow(
      /^can't connect to no-such-host\.invalid:/,
    );
  });
});
