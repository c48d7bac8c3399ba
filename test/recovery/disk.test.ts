/**
 * A disk that can't take more, by the limit the system puts on the length of a process' files: reads go on, writes are
 * refused in Redis' words, nothing acknowledged is lost, and when there is room again all is well without anybody's help.
 */
import { describe, expect, test } from "vitest";
import { ask } from "../support/ask.js";
import { eventually, runProgram, type ServerProcess, sandbox } from "../support/server-process.js";
import { findTool } from "../support/tools.js";

const prlimit = process.platform === "linux" ? findTool("prlimit") : undefined;

const FULL_BYTES = 100_000;
const MISCONF = /^MISCONF Errors writing to the database file: /;

/** Only the soft limit, which can be raised again. */
async function limitFiles(server: ServerProcess, bytes: number | "unlimited"): Promise<void> {
  const { code, stderr } = await runProgram("prlimit", ["--pid", String(server.pid), `--fsize=${bytes}:`]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
}

/** Bytes that no bitmap can make shorter. */
function incompressible(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * i * 2654435761) >>> 13));
}

describe.skipIf(prlimit === undefined)("on a full disk", () => {
  /** A server with `saved` on disk and `big`, which is acknowledged, in memory only. */
  const fullServer = async () => {
    const place = sandbox();
    const server = await place.start();
    const client = await server.connect();
    await ask(client, "SET", "saved", "1");
    await ask(client, "SAVE");
    await limitFiles(server, FULL_BYTES);
    await ask(client, "SET", "big", incompressible(2 * FULL_BYTES));
    await server.logged(/warning can't write to bitmapist\.db: .+; writes are refused until it works again\n/);
    return { place, server, client };
  };

  test("reads go on, writes and SAVE are refused, and with room again everything acknowledged is saved", async () => {
    const { place, server, client } = await fullServer();
    await expect(ask(client, "SET", "refused", "1")).rejects.toThrow(MISCONF);
    await expect(ask(client, "SETBIT", "refused", "1", "1")).rejects.toThrow(MISCONF);
    await expect(ask(client, "SAVE")).rejects.toThrow("ERR");
    expect(await ask(client, "GET", "saved")).toBe("1");
    expect(await ask(client, "STRLEN", "big")).toBe(2 * FULL_BYTES);
    expect(String(await ask(client, "INFO", "persistence"))).toContain("rdb_last_bgsave_status:err");

    await limitFiles(server, "unlimited");
    await server.logged(/notice {2}bitmapist\.db can be written again\n/);
    await eventually("writes are taken", async () => (await client.call("SET", "after", "1")) === "+OK\r\n");
    await ask(client, "SAVE");
    await server.kill();

    const again = await (await place.start()).connect();
    expect(await ask(again, "GET", "big")).toBe(incompressible(2 * FULL_BYTES).toString("latin1"));
    expect(await ask(again, "MGET", "saved", "after", "refused")).toEqual(["1", "1", null]);
  });

  test("kill -9 loses only what could not be written", async () => {
    const { place, server } = await fullServer();
    await server.kill();
    const client = await (await place.start()).connect();
    expect(await ask(client, "GET", "saved")).toBe("1");
    expect(await ask(client, "EXISTS", "big")).toBe(0);
  });

  test("SIGTERM does not throw away what can't be saved: the server goes on, says so, and ends when there is room", async () => {
    const { place, server, client } = await fullServer();
    server.signal("SIGTERM");
    await server.logged(/warning can't save, so the server goes on/);
    expect(await ask(client, "STRLEN", "big")).toBe(2 * FULL_BYTES);
    await limitFiles(server, "unlimited");
    await server.logged(/can be written again/);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    const again = await (await place.start()).connect();
    expect(await ask(again, "STRLEN", "big")).toBe(2 * FULL_BYTES);
  });

  test("SHUTDOWN is refused in Redis' words on a connection that stays, and SHUTDOWN NOSAVE ends the server", async () => {
    const { server, client } = await fullServer();
    await expect(ask(client, "SHUTDOWN")).rejects.toThrow("ERR Errors trying to SHUTDOWN. Check logs.");
    expect(await ask(client, "PING")).toBe("PONG");
    client.send("SHUTDOWN NOSAVE\r\n");
    expect(await server.exit()).toEqual({ code: 0, signal: null });
  });
});
