/**
 * Imports point downward only, without cycles:
 *
 *   cli > server > net | migrate > commands > options > keyspace | resp | rdb > config, errors, event-classes, clock, log, memory-size, passing-buffer, v8-flags, version
 *
 * Beside them stands storage: server knows it, and it knows only what keyspace declares. A subcommand that works on a file
 * (check, backup) or is a client of a server needs no Server: cli may use storage and migrate for it, and nothing between.
 * Type-only imports count, and so do dynamic ones.
 */

/** A layer's files as a path pattern. */
const layers = {
  cli: "^src/cli(\\.ts$|/)",
  server: "^src/(server|store)\\.ts$",
  net: "^src/net/",
  migrate: "^src/migrate/",
  commands: "^src/commands/",
  options: "^src/options/",
  keyspace: "^src/keyspace/",
  resp: "^src/resp/",
  rdb: "^src/rdb/",
  storage: "^src/storage/",
  base: "^src/(config|errors|event-classes|clock|log|memory-size|passing-buffer|v8-flags|version)\\.ts$",
};

/** Which layers each may import, beside itself. */
const allowed = {
  cli: ["server", "storage", "migrate", "options", "base"],
  server: ["net", "migrate", "commands", "options", "keyspace", "resp", "storage", "base"],
  net: ["commands", "options", "keyspace", "resp", "base"],
  migrate: ["commands", "keyspace", "resp", "rdb", "base"],
  commands: ["options", "keyspace", "resp", "rdb", "base"],
  options: ["resp", "base"],
  keyspace: ["base"],
  resp: ["base"],
  rdb: ["base"],
  storage: ["keyspace", "base"],
  base: [],
};

const directionRules = Object.entries(allowed).map(([layer, below]) => ({
  name: `${layer}-imports-downward`,
  comment: `${layer} may import ${[layer, ...below].join(", ")}`,
  severity: "error",
  from: { path: layers[layer] },
  to: { path: "^src/", pathNot: [layer, ...below].map((name) => layers[name]) },
}));

/** `modules` may be imported only by files that match `home`. */
function only(name, home, modules) {
  return { name, severity: "error", from: { path: "^src/", pathNot: home }, to: { path: modules } };
}

const npmPackage = (name) => `(^|/)node_modules/(@types/)?${name}/`;

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    ...directionRules,
    {
      name: "every-file-has-a-layer",
      comment: "A new folder or top-level file needs its place in the order above.",
      severity: "error",
      from: { path: "^src/", pathNot: Object.values(layers) },
      to: {},
    },
    {
      name: "storage-sees-the-contract",
      comment: "Storage knows the contract, the bitmaps and the change log, not the keyspace that uses it.",
      severity: "error",
      from: { path: layers.storage },
      to: {
        path: layers.keyspace,
        pathNot: "^src/keyspace/(storage|bitmap|value|change-log|hash|portable-format|small-set)[^/]*\\.ts$",
      },
    },
    only("sockets-only-in-net", [layers.net, layers.migrate], "^(node:)?(net|tls)$"),
    only("sqlite-only-in-storage", [layers.storage], npmPackage("better-sqlite3")),
    only(
      "roaring-only-in-bitmap",
      ["^src/keyspace/bitmap[^/]*\\.ts$", "^src/storage/value[^/]*\\.ts$"],
      npmPackage("roaring"),
    ),
    only("commander-only-in-cli", [layers.cli], npmPackage("commander")),
    only("redis-parser-only-in-migrate", [layers.migrate], npmPackage("redis-parser")),
    {
      name: "no-cycles",
      comment: "Types may know each other (a client its server, a server its clients); modules that run may not.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    { name: "no-unresolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
    {
      name: "only-what-is-shipped",
      comment: "The source runs without tests, benchmarks and development packages.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(test|bench)/" },
    },
    {
      name: "no-dev-packages",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg"], dependencyTypesNot: ["type-only"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
    },
  },
};
