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

/** Name, arity, flags, the first version that had it, and whether its reply changes from call to call. */
const SUBCOMMANDS: readonly (readonly [string, number, readonly Flag[], string, boolean])[] = [
  ["addslots", -3, CHANGES, "3.0.0", false],
  ["addslotsrange", -4, CHANGES, "7.0.0", false],
  ["bumpepoch", 2, CHANGES, "3.0.0", true],
  ["count-failure-reports", 3, LOOKS_CLOSELY, "3.0.0", true],
  ["countkeysinslot", 3, LOOKS, "3.0.0", false],
  ["delslots", -3, CHANGES, "3.0.0", false],
  ["delslotsrange", -4, CHANGES, "7.0.0", false],
  ["failover", -2, CHANGES, "3.0.0", false],
  ["flushslots", 2, CHANGES, "3.0.0", false],
  ["forget", 3, CHANGES, "3.0.0", false],
  ["getkeysinslot", 4, LOOKS, "3.0.0", true],
  ["help", 2, ["loading", "stale"], "5.0.0", false],
  ["info", 2, LOOKS, "3.0.0", true],
  ["keyslot", 3, LOOKS, "3.0.0", false],
  ["links", 2, LOOKS, "7.0.0", true],
  ["meet", -4, CHANGES, "3.0.0", false],
  ["myid", 2, LOOKS, "3.0.0", false],
  ["nodes", 2, LOOKS, "3.0.0", true],
  ["replicas", 3, LOOKS_CLOSELY, "5.0.0", true],
  ["replicate", 3, CHANGES, "3.0.0", false],
  ["reset", -2, ["admin", "noscript", "stale"], "3.0.0", false],
  ["saveconfig", 2, CHANGES, "3.0.0", false],
  ["set-config-epoch", 3, CHANGES, "3.0.0", false],
  ["setslot", -4, CHANGES, "3.0.0", false],
  ["shards", 2, LOOKS, "7.0.0", true],
  ["slaves", 3, LOOKS_CLOSELY, "3.0.0", true],
  ["slots", 2, LOOKS, "3.0.0", true],
];

const ROW = {
  group: "cluster",
  complexity: "O(1)",
  handler: refuse,
  summary: "Says that this is no cluster.",
} as const;

const subcommands: readonly Command[] = SUBCOMMANDS.map(([name, arity, flags, since, changes]) => ({
  ...ROW,
  name: `cluster|${name}`,
  arity,
  flags,
  since,
  ...(changes ? { tips: ["nondeterministic_output"] } : {}),
}));

const MODE = { ...ROW, arity: 1, categories: ["connection"], since: "3.0.0" } as const;

export const CLUSTER_COMMANDS: readonly Command[] = [
  { ...MODE, name: "asking", flags: ["fast"] },
  { ...ROW, name: "cluster", arity: -2, flags: [], since: "3.0.0", subcommands },
  { ...MODE, name: "readonly", flags: ["loading", "stale", "fast"] },
  { ...MODE, name: "readwrite", flags: ["loading", "stale", "fast"] },
];
