/**
 * The command table: the only list of commands. Dispatch, COMMAND, INFO and the documentation read it.
 * A new command is a row in its family's file; a new family is a line here.
 */
import { ACL_COMMANDS } from "./acl.js";
import { BIT_SET_COMMANDS } from "./bit-set.js";
import { BITFIELD_COMMANDS } from "./bitfield.js";
import { BITMAP_COMMANDS } from "./bitmap.js";
import { CLIENT_COMMANDS } from "./client-commands.js";
import { CLUSTER_COMMANDS } from "./cluster.js";
import { COHORT_COMMANDS } from "./cohort.js";
import { COMMAND_COMMANDS } from "./command-commands.js";
import { CommandTable } from "./command-table.js";
import { CONFIG_COMMANDS } from "./config-commands.js";
import { CONNECTION_COMMANDS, HTTP_WORDS } from "./connection.js";
import { COUNTER_COMMANDS } from "./counter.js";
import { DATABASE_COMMANDS } from "./database.js";
import { DEBUG_COMMANDS } from "./debug.js";
import { DUMP_COMMANDS } from "./dump.js";
import { EXPIRE_COMMANDS } from "./expire.js";
import { INFO_COMMANDS } from "./info.js";
import { KEY_COMMANDS } from "./keys.js";
import { LATENCY_COMMANDS } from "./latency.js";
import { MEMORY_COMMANDS } from "./memory.js";
import { MODULE_COMMANDS } from "./module-commands.js";
import { MONITOR_COMMANDS } from "./monitor.js";
import { OBJECT_COMMANDS } from "./object.js";
import { PUBSUB_COMMANDS } from "./pubsub-commands.js";
import { REPLICATION_COMMANDS } from "./replication.js";
import { ROARING_MODULE_COMMANDS } from "./roaring-module.js";
import { SERVER_COMMANDS } from "./server-commands.js";
import { SLOWLOG_COMMANDS } from "./slowlog.js";
import { STRING_COMMANDS } from "./string.js";
import { SUBSTRING_COMMANDS } from "./substring.js";
import { TRANSACTION_COMMANDS } from "./transaction.js";
import { WAIT_COMMANDS } from "./wait.js";

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
    ...STRING_COMMANDS,
    ...SUBSTRING_COMMANDS,
    ...TRANSACTION_COMMANDS,
    ...WAIT_COMMANDS,
  ],
  HTTP_WORDS,
);
