/**
 * CLUSTER, READONLY, READWRITE, ASKING: what cluster clients ask for, answered as by a Redis that is no cluster: each is known, and
 * all say so.
 */
import { CommandError } from "../../errors.js";
import type { Command, Flag } from "../command.js";

const NO_CLUSTER = new CommandError("ERR This instance has cluster support disabled");

function refuse(): void {
  throw NO_CLUSTER;
}

const LOOKS: readonly Flag[] = ["stale"];
const LOOKS_CLOSELY: readonly Flag[] = ["admin", "stale"];
const CHANGES: readonly Flag[] = ["admin", "stale", "no_async_loading"];

/** Name, arity, flags, the first version that had it, whether its reply changes from call to call, and its syntax. */
const SUBCOMMANDS: readonly (readonly [string, number, readonly Flag[], string, boolean, string?])[] = [
  ["addslots", -3, CHANGES, "3.0.0", false, "slot:integer..."],
  ["addslotsrange", -4, CHANGES, "7.0.0", false, "start-slot_end-slot:<start-slot:integer end-slot:integer>..."],
  ["bumpepoch", 2, CHANGES, "3.0.0", true],
  ["count-failure-reports", 3, LOOKS_CLOSELY, "3.0.0", true, "node-id"],
  ["countkeysinslot", 3, LOOKS, "3.0.0", false, "slot:integer"],
  ["delslots", -3, CHANGES, "3.0.0", false, "slot:integer..."],
  ["delslotsrange", -4, CHANGES, "7.0.0", false, "start-slot_end-slot:<start-slot:integer end-slot:integer>..."],
  ["failover", -2, CHANGES, "3.0.0", false, "[options:(FORCE | TAKEOVER)]"],
  ["flushslots", 2, CHANGES, "3.0.0", false],
  ["forget", 3, CHANGES, "3.0.0", false, "node-id"],
  ["getkeysinslot", 4, LOOKS, "3.0.0", true, "slot:integer count:integer"],
  ["help", 2, ["loading", "stale"], "5.0.0", false],
  ["info", 2, LOOKS, "3.0.0", true],
  ["keyslot", 3, LOOKS, "3.0.0", false, "key:string"],
  ["links", 2, LOOKS, "7.0.0", true],
  ["meet", -4, CHANGES, "3.0.0", false, "ip port:integer [cluster_bus_port:integer@4.0.0]"],
  ["myid", 2, LOOKS, "3.0.0", false],
  ["nodes", 2, LOOKS, "3.0.0", true],
  ["replicas", 3, LOOKS_CLOSELY, "5.0.0", true, "node-id"],
  ["replicate", 3, CHANGES, "3.0.0", false, "node-id"],
  ["reset", -2, ["admin", "noscript", "stale"], "3.0.0", false, "[hard_soft:(HARD | SOFT)]"],
  ["saveconfig", 2, CHANGES, "3.0.0", false],
  ["set-config-epoch", 3, CHANGES, "3.0.0", false, "config-epoch:integer"],
  [
    "setslot",
    -4,
    CHANGES,
    "3.0.0",
    false,
    "slot:integer subcommand:(IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE)",
  ],
  ["shards", 2, LOOKS, "7.0.0", true],
  ["slaves", 3, LOOKS_CLOSELY, "3.0.0", true, "node-id"],
  ["slots", 2, LOOKS, "3.0.0", true],
];

const ROW = {
  group: "cluster",
  complexity: "O(1)",
  handler: refuse,
  summary: "Says that this is no cluster.",
} as const;

const subcommands: readonly Command[] = SUBCOMMANDS.map(([name, arity, flags, since, changes, syntax]) => ({
  ...ROW,
  name: `cluster|${name}`,
  arity,
  flags,
  since,
  ...(changes ? { tips: ["nondeterministic_output"] } : {}),
  ...(syntax !== undefined && { syntax }),
}));

const MODE = { ...ROW, arity: 1, categories: ["connection"], since: "3.0.0" } as const;

export const CLUSTER_COMMANDS: readonly Command[] = [
  { ...MODE, name: "asking", flags: ["fast"] },
  { ...ROW, name: "cluster", arity: -2, flags: [], since: "3.0.0", subcommands },
  { ...MODE, name: "readonly", flags: ["loading", "stale", "fast"] },
  { ...MODE, name: "readwrite", flags: ["loading", "stale", "fast"] },
];
