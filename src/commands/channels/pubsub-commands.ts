/** SUBSCRIBE, PUBLISH and their kin. Who gets what is PubSub's work (pubsub.ts). */
import { CommandError } from "../../errors.js";
import { compileGlob } from "../../keyspace/glob.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { quotedArg } from "../args.js";
import type { Client } from "../client.js";
import type { Command, Handler, KeySpec } from "../command.js";
import { helpHandler } from "../help.js";
import type { Kind } from "./pubsub.js";

/** SUBSCRIBE channel [channel ...], PSUBSCRIBE pattern [pattern ...], SSUBSCRIBE shardchannel [shardchannel ...] */
function subscribing(kind: Kind): Handler {
  return (client, argv) => {
    for (let i = 1; i < argv.length; i++) client.server.pubsub.subscribe(kind, client, argv.string(i));
  };
}

/** UNSUBSCRIBE [channel ...], PUNSUBSCRIBE [pattern ...], SUNSUBSCRIBE [shardchannel ...]: from all, where none is named. */
function unsubscribing(kind: Kind): Handler {
  return (client, argv) => {
    const { pubsub } = client.server;
    for (let i = 1; i < argv.length; i++) pubsub.unsubscribe(kind, client, argv.string(i));
    if (argv.length === 1) pubsub.unsubscribeAll(kind, client);
  };
}

/** PUBLISH channel message */
function publish(client: Client, argv: Argv, reply: Reply): void {
  reply.integer(client.server.pubsub.publish(argv.string(1), argv.bytes(2)));
}

/** SPUBLISH shardchannel message */
function spublish(client: Client, argv: Argv, reply: Reply): void {
  reply.integer(client.server.pubsub.publishToShard(argv.string(1), argv.bytes(2)));
}

/** PUBSUB CHANNELS [pattern], PUBSUB SHARDCHANNELS [pattern] */
function channels(kind: Kind): Handler {
  return (client, argv, reply) => {
    if (argv.length > 3) {
      const word = quotedArg(argv, 1);
      throw new CommandError(`ERR unknown subcommand or wrong number of arguments for '${word}'. Try PUBSUB HELP.`);
    }
    const matches = argv.length === 3 ? compileGlob(argv.string(2)) : () => true;
    const names = [...client.server.pubsub.names(kind)].filter(matches);
    reply.array(names.length);
    for (const name of names) reply.bulk(name);
  };
}

/** PUBSUB NUMSUB [channel ...], PUBSUB SHARDNUMSUB [shardchannel ...] */
function numsub(kind: Kind): Handler {
  return (client, argv, reply) => {
    reply.array((argv.length - 2) * 2);
    for (let i = 2; i < argv.length; i++) {
      reply.bulk(argv.bytes(i));
      reply.integer(client.server.pubsub.subscribers(kind, argv.string(i)));
    }
  };
}

/** PUBSUB NUMPAT: how many different patterns have a subscriber. */
function numpat(client: Client, _argv: Argv, reply: Reply): void {
  reply.integer(client.server.pubsub.size("p"));
}

const help = helpHandler("pubsub", () => SUBCOMMANDS);

const SUBCOMMAND = { flags: ["pubsub", "loading", "stale"], group: "pubsub" } as const;

const SUBCOMMANDS: readonly Command[] = [
  {
    ...SUBCOMMAND,
    name: "pubsub|channels",
    arity: -2,
    syntax: "[pattern]",
    since: "2.8.0",
    complexity: "O(N) in the number of channels that have subscribers",
    summary: "Channels that have subscribers.",
    handler: channels(""),
  },
  {
    ...SUBCOMMAND,
    name: "pubsub|help",
    arity: 2,
    flags: ["loading", "stale"],
    since: "6.2.0",
    complexity: "O(1)",
    summary: "What there is.",
    handler: help,
  },
  {
    ...SUBCOMMAND,
    name: "pubsub|numpat",
    arity: 2,
    since: "2.8.0",
    complexity: "O(1)",
    summary: "How many patterns have subscribers.",
    handler: numpat,
  },
  {
    ...SUBCOMMAND,
    name: "pubsub|numsub",
    arity: -2,
    syntax: "[channel...]",
    since: "2.8.0",
    complexity: "O(N) in the number of channels asked for",
    summary: "How many subscribers channels have.",
    handler: numsub(""),
  },
  {
    ...SUBCOMMAND,
    name: "pubsub|shardchannels",
    arity: -2,
    syntax: "[pattern]",
    since: "7.0.0",
    complexity: "O(N) in the number of shard channels that have subscribers",
    summary: "Shard channels that have subscribers.",
    handler: channels("s"),
  },
  {
    ...SUBCOMMAND,
    name: "pubsub|shardnumsub",
    arity: -2,
    syntax: "[shardchannel...]",
    since: "7.0.0",
    complexity: "O(N) in the number of shard channels asked for",
    summary: "How many subscribers shard channels have.",
    handler: numsub("s"),
  },
];

const SUBSCRIBES = {
  flags: ["pubsub", "noscript", "loading", "stale"],
  group: "pubsub",
  complexity: "O(N) in the number of names",
} as const;
const PUBLISHES = { arity: 3, flags: ["pubsub", "loading", "stale", "fast"], group: "pubsub" } as const;
const SHARD_CHANNELS: KeySpec = { flags: ["not_key"], first: 1, last: -1, step: 1 };
const SHARD_CHANNEL: KeySpec = { flags: ["not_key"], first: 1, last: 0, step: 1 };

export const PUBSUB_COMMANDS: readonly Command[] = [
  {
    ...SUBSCRIBES,
    name: "psubscribe",
    syntax: "pattern:<pattern>...",
    channels: { first: 1, last: -1, arePatterns: true },
    arity: -2,
    since: "2.0.0",
    summary: "Subscribes to all channels whose names match patterns.",
    handler: subscribing("p"),
  },
  {
    ...PUBLISHES,
    name: "publish",
    syntax: "channel message",
    channels: { first: 1, last: 1 },
    since: "2.0.0",
    complexity: "O(N+M) in the channel's subscribers and in the patterns of all clients",
    summary: "Sends a message to a channel and counts its receivers.",
    handler: publish,
  },
  {
    name: "pubsub",
    arity: -2,
    flags: [],
    group: "pubsub",
    since: "2.8.0",
    complexity: "Depends on subcommand.",
    summary: "About channels and their subscribers.",
    handler: help,
    subcommands: SUBCOMMANDS,
  },
  {
    ...SUBSCRIBES,
    name: "punsubscribe",
    arity: -1,
    syntax: "[pattern...]",
    since: "2.0.0",
    summary: "Ends subscriptions to patterns.",
    handler: unsubscribing("p"),
  },
  {
    ...PUBLISHES,
    name: "spublish",
    syntax: "shardchannel message",
    channels: { first: 1, last: 1 },
    keys: [SHARD_CHANNEL],
    since: "7.0.0",
    complexity: "O(N) in the shard channel's subscribers",
    summary: "Sends a message to a shard channel and counts its receivers.",
    handler: spublish,
  },
  {
    ...SUBSCRIBES,
    name: "ssubscribe",
    syntax: "shardchannel...",
    channels: { first: 1, last: -1 },
    arity: -2,
    keys: [SHARD_CHANNELS],
    since: "7.0.0",
    summary: "Subscribes to shard channels.",
    handler: subscribing("s"),
  },
  {
    ...SUBSCRIBES,
    name: "subscribe",
    syntax: "channel...",
    channels: { first: 1, last: -1 },
    arity: -2,
    since: "2.0.0",
    summary: "Subscribes to channels.",
    handler: subscribing(""),
  },
  {
    ...SUBSCRIBES,
    name: "sunsubscribe",
    arity: -1,
    syntax: "[shardchannel...]",
    keys: [SHARD_CHANNELS],
    since: "7.0.0",
    summary: "Ends subscriptions to shard channels.",
    handler: unsubscribing("s"),
  },
  {
    ...SUBSCRIBES,
    name: "unsubscribe",
    arity: -1,
    syntax: "[channel...]",
    since: "2.0.0",
    summary: "Ends subscriptions to channels.",
    handler: unsubscribing(""),
  },
];
