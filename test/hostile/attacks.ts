/**
 * What clients do that mean harm. Each attack ends by itself, is drawn from a seed, and tells what it did; it is run by a process of its
 * own (attacker.ts), so that the good client of the other one measures the server and not the attacker.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { goodRequest, mutate } from "../support/broken-requests.js";
import { type Dice, diceOf } from "../support/random.js";
import { encodeRequest, RawClient } from "../support/raw-client.js";
import { sleep } from "../support/server-process.js";

/** What an attack is told. */
export interface AttackOptions {
  port: number;
  seed: number;
  /** How much of it: requests, connections, bytes or arrays. */
  amount: number;
  /** How long, where that is not said by the amount. */
  seconds: number;
}

/** Does its harm and says in a few words what that was. Throws when the server did what it must not. */
export type Attack = (options: AttackOptions) => Promise<string>;

const MIB = 1024 * 1024;

const MUTATING_CLIENTS = 64;
const MUTATIONS_MAX = 3;
/** One of so many connections does not read replies. */
const READERS_A_DEAF = 50;
/** How long a reply is waited for. */
const STAY_MS = 25;
const CONNECTION_REQUESTS_MAX = 32;

const CONNECTING_AT_A_TIME = 100;
/** For what the server does at once when all is well. */
const PATIENCE_MS = 60_000;

/** What is written at a time: as much as the server reads at a time, and more than the longest line. */
const POURED_BYTES = 64 * 1024;
const GARBAGE_WORD_BYTES_MAX = 60;

/** A value whose replies nobody reads, and how many are asked for in one write. */
const UNREAD_VALUE_BYTES = MIB;
const UNREAD_REQUESTS = 64;
const UNREAD_PUBLISHED_BYTES = 64 * 1024;

/**
 * Each request has one to three things wrong. What has got no reply is half of a request or asks for none: the connection is left then, since
 * what comes next might be taken for arguments. One client in so many does not read, and sends on.
 */
export const mutated: Attack = async ({ port, seed, amount }) => {
  let left = amount;
  let connections = 0;
  const outcomes = { data: 0, close: 0, nothing: 0 };
  const client = async (random: Dice) => {
    while (left > 0) {
      const socket = await open(port);
      connections++;
      const isReader = random.int(1, READERS_A_DEAF) > 1;
      let isOpen = true;
      for (let sent = 0; isOpen && sent < CONNECTION_REQUESTS_MAX && left > 0; sent++) {
        left--;
        let bytes = goodRequest(random);
        for (let n = random.int(1, MUTATIONS_MAX); n > 0; n--) bytes = mutate(bytes, random);
        socket.write(bytes, "latin1");
        const outcome = (await happens(socket, isReader ? ["data", "close"] : ["close"], STAY_MS)) ?? "nothing";
        outcomes[outcome]++;
        isOpen = outcome === "data" || (outcome === "nothing" && !isReader);
      }
      socket.resetAndDestroy();
    }
  };
  await Promise.all(Array.from({ length: MUTATING_CLIENTS }, (_, i) => client(diceOf(seed + i))));
  const { data, close, nothing } = outcomes;
  return `${count(connections)} connections; ${count(data)} answered, ${count(close)} cut off, ${count(nothing)} without an answer`;
};

/** Half of them send the half of a request and no more, or end their side there; the others send a byte a second. */
export const slow: Attack = async ({ port, seed, amount, seconds }) => {
  const random = diceOf(seed);
  const sockets = await openMany(port, amount);
  const crawling: { socket: Socket; bytes: Buffer; at: number }[] = [];
  for (const [i, socket] of sockets.entries()) {
    socket.resume();
    const bytes = Buffer.from(goodRequest(random), "latin1");
    if (i % 2 === 0) crawling.push({ socket, bytes, at: 0 });
    else if (i % 4 === 1) socket.write(bytes.subarray(0, bytes.length / 2));
    else socket.end(bytes.subarray(0, bytes.length / 2));
  }
  for (let second = 0; second < seconds; second++) {
    for (const each of crawling) each.socket.write(each.bytes.subarray(each.at, ++each.at));
    await sleep(1000);
  }
  const gone = sockets.filter(isOver).length;
  for (const socket of sockets) socket.resetAndDestroy();
  return `for ${seconds} s; ${count(gone)} were closed`;
};

/** Connections that send nothing. All of them must be served still, once each. */
export const idle: Attack = async ({ port, amount, seconds }) => {
  const sockets = await openMany(port, amount);
  await sleep(seconds * 1000);
  const served = await Promise.all(
    sockets.map(async (socket) => {
      if (isOver(socket)) return false;
      socket.write("PING\r\n");
      const [chunk] = await once(socket, "data");
      return String(chunk) === "+PONG\r\n";
    }),
  );
  for (const socket of sockets) socket.resetAndDestroy();
  const lost = served.filter((each) => !each).length;
  if (lost > 0) throw new Error(`${count(lost)} idle connections were not served when they woke`);
  return `for ${seconds} s; all were served after it`;
};

/** A client that asks and does not read, a subscriber and a monitor that do not, and one who has something told to them. */
export const unread: Attack = async ({ port, seconds }) => {
  const writer = await RawClient.connect(port);
  await writer.call("SET", "large", "x".repeat(UNREAD_VALUE_BYTES));
  const deaf = [await open(port), await open(port), await open(port)] as const;
  const [asking, subscriber, monitor] = deaf;
  subscriber.write("SUBSCRIBE news\r\n");
  monitor.write("MONITOR\r\n");
  const requests = Buffer.concat(Array.from({ length: UNREAD_REQUESTS }, () => encodeRequest(["GET", "large"])));
  const message = "m".repeat(UNREAD_PUBLISHED_BYTES);
  let published = 0;
  let asked = 0;
  for (const endMs = performance.now() + seconds * 1000; performance.now() < endMs; ) {
    // The attacker's own buffer is not to grow.
    if (!isOver(asking) && !asking.writableNeedDrain) {
      asking.write(requests);
      asked += UNREAD_REQUESTS;
    }
    await writer.call("PUBLISH", "news", message);
    published += message.length;
  }
  for (const socket of deaf) socket.resetAndDestroy();
  await writer.call("DEL", "large");
  writer.close();
  return `${count(asked)} GETs of ${bytes(UNREAD_VALUE_BYTES)}, ${bytes(published)} of messages`;
};

/** Lines without an end, each on a connection that the server closes, and lines of random words; as many bytes of each. */
export const garbage: Attack = async ({ port, seed, amount }) => {
  const random = diceOf(seed);
  let endless = "";
  while (endless.length < POURED_BYTES)
    endless += random.pick(["!", "*", "$", " ", "x", '"', "'", "\\", "\r", "\0", "\xff"]);
  let words = "";
  while (words.length < POURED_BYTES) {
    words += random.pick(["", " ", "\n", "\r\n"]);
    // No quotes, which may be unbalanced, and no stars, with which other requests begin: the connection is to live.
    for (let n = random.int(0, GARBAGE_WORD_BYTES_MAX); n > 0; n--)
      words += String.fromCharCode(random.int(0x2b, 0x7e));
  }
  const connections = await Promise.all([
    pourAnew(port, Buffer.from(`!${endless}`, "latin1"), amount / 2),
    pour(port, Buffer.from(`${words}\n`, "latin1"), amount / 2),
  ]);
  return `${count(connections[0] + 1)} connections`;
};

/** Arrays in arrays, and never anything else. */
export const nested: Attack = async ({ port, amount }) => {
  const opening = "*1\r\n";
  const chunk = Buffer.from(opening.repeat(POURED_BYTES / opening.length));
  const connections = await pourAnew(port, chunk, amount * opening.length);
  return `${count(connections)} connections`;
};

export const ATTACKS = { mutated, slow, idle, unread, garbage, nested } satisfies Record<string, Attack>;

/** Writes `chunk` again and again over one connection, which must live, until so many bytes were taken and answered. */
async function pour(port: number, chunk: Buffer, amountBytes: number): Promise<void> {
  const socket = await open(port);
  socket.resume();
  for (let left = amountBytes; left > 0; left -= chunk.length) {
    if (!socket.write(chunk) && (await happens(socket, ["drain", "close"], PATIENCE_MS)) !== "drain") {
      throw new Error("the server does not take what it should answer with errors");
    }
  }
  socket.end();
  if ((await happens(socket, ["close"], PATIENCE_MS)) === undefined)
    throw new Error("the server does not get to the end");
}

/** Writes `chunk` over one connection after the other, each of which the server must close, until so many bytes are gone. */
async function pourAnew(port: number, chunk: Buffer, amountBytes: number): Promise<number> {
  let connections = 0;
  for (let left = amountBytes; left > 0; left -= chunk.length) {
    const socket = await open(port);
    connections++;
    socket.resume();
    socket.write(chunk);
    if ((await happens(socket, ["close"], PATIENCE_MS)) === undefined) throw new Error("the server does not close");
  }
  return connections;
}

/** Which of the events comes first, undefined if none does within so long. */
function happens<E extends string>(
  socket: Socket,
  events: readonly E[],
  withinMs: number,
): Promise<E | "close" | undefined> {
  if (socket.destroyed) return Promise.resolve("close");
  return new Promise((resolve) => {
    const done = (event?: E) => {
      clearTimeout(timer);
      for (const [name, listener] of listeners) socket.off(name, listener);
      resolve(event);
    };
    const timer = setTimeout(() => done(), withinMs);
    const listeners = events.map((name) => [name, () => done(name)] as const);
    for (const [name, listener] of listeners) socket.once(name, listener);
  });
}

async function openMany(port: number, amount: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < amount) {
    const wave = Math.min(CONNECTING_AT_A_TIME, amount - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: wave }, () => open(port)))));
  }
  return sockets;
}

/** A connection whose end is no failure: being thrown out is what it came for. */
async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error("the server does not accept a connection")));
  await once(socket, "connect");
  socket.setTimeout(0);
  socket.on("error", () => {});
  return socket;
}

function isOver(socket: Socket): boolean {
  return socket.destroyed || socket.readableEnded;
}

function count(n: number): string {
  return n.toLocaleString("en-US");
}

function bytes(n: number): string {
  return `${count(Math.round(n / MIB))} MiB`;
}
