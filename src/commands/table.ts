/**
 * The command table: the only list of commands. Dispatch, COMMAND, INFO and the documentation read it.
 * A new command is a row in its family's file; a new family is a line here.
 */
import { ACL_COMMANDS } from "./acl/acl.js";
import { BIT_SET_COMMANDS } from "./bitmaps/bit-set.js";
import { BITFIELD_COMMANDS } from "./bitmaps/bitfield.js";
import { BITMAP_COMMANDS } from "./bitmaps/bitmap.js";
import { COHORT_COMMANDS } from "./bitmaps/cohort.js";
import { ROARING_MODULE_COMMANDS } from "./bitmaps/roaring-module.js";
import { PUBSUB_COMMANDS } from "./channels/pubsub-commands.js";
import { CommandTable } from "./command-table.js";
import { CLIENT_COMMANDS } from "./connections/client-commands.js";
import { CONNECTION_COMMANDS, HTTP_WORDS } from "./connections/connection.js";
import { TRANSACTION_COMMANDS } from "./connections/transaction.js";
import { DUMP_COMMANDS } from "./keys/dump.js";
import { EXPIRE_COMMANDS } from "./keys/expire.js";
import { KEY_COMMANDS } from "./keys/keys.js";
import { OBJECT_COMMANDS } from "./keys/object.js";
import { INFO_COMMANDS } from "./monitoring/info.js";
import { LATENCY_COMMANDS } from "./monitoring/latency.js";
import { MEMORY_COMMANDS } from "./monitoring/memory.js";
import { MONITOR_COMMANDS } from "./monitoring/monitor.js";
import { SLOWLOG_COMMANDS } from "./monitoring/slowlog.js";
import { CLUSTER_COMMANDS } from "./server/cluster.js";
import { COMMAND_COMMANDS } from "./server/command-commands.js";
import { CONFIG_COMMANDS } from "./server/config-commands.js";
import { DATABASE_COMMANDS } from "./server/database.js";
import { DEBUG_COMMANDS } from "./server/debug.js";
import { MODULE_COMMANDS } from "./server/module-commands.js";
import { REPLICATION_COMMANDS } from "./server/replication.js";
import { SERVER_COMMANDS } from "./server/server-commands.js";
import { SLURP_COMMANDS } from "./server/slurp.js";
import { WAIT_COMMANDS } from "./server/wait.js";
import { COUNTER_COMMANDS } from "./strings/counter.js";
import { STRING_COMMANDS } from "./strings/string.js";
import { SUBSTRING_COMMANDS } from "./strings/substring.js";

export const COMMAND_TABLE = new CommandTable(
  [
    ...ACL_COMMANDS,
    ...BIT_SET_COMMANDS,
    ...BITFIELD_COMMANDS,
    ...BITMAP_COMMANDS,
    ...CLIENT_COMMANDS,
    ...CLUSTER_COMMANDS,
    ...COHORT_COMMANDS,
    ...COMMAND_COMMANDS,
    ...CONFIG_COMMANDS,
    ...CONNECTION_COMMANDS,
    ...COUNTER_COMMANDS,
    ...DATABASE_COMMANDS,
    ...DEBUG_COMMANDS,
    ...DUMP_COMMANDS,
    ...EXPIRE_COMMANDS,
    ...INFO_COMMANDS,
    ...KEY_COMMANDS,
    ...LATENCY_COMMANDS,
    ...MEMORY_COMMANDS,
    ...MONITOR_COMMANDS,
    ...PUBSUB_COMMANDS,
    ...MODULE_COMMANDS,
    ...OBJECT_COMMANDS,
    ...REPLICATION_COMMANDS,
    ...ROARING_MODULE_COMMANDS,
    ...SERVER_COMMANDS,
    ...SLOWLOG_COMMANDS,
    ...SLURP_COMMANDS,
    ...STRING_COMMANDS,
    ...SUBSTRING_COMMANDS,
    ...TRANSACTION_COMMANDS,
    ...WAIT_COMMANDS,
  ],
  HTTP_WORDS,
);
