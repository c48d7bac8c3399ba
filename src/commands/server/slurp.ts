/** SLURP host:port [db], as in the Go bitmapist-server: brings the keys of a running Redis here. How that is done is not known here. */
import { CommandError, reasonOf } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { intArg } from "../args.js";
import { replyError } from "../call.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";

const BAD_ADDRESS = new CommandError("ERR invalid address, write host:port");
const BAD_DATABASE = new CommandError("ERR invalid DB index");
const WRONG_NUMBER = new CommandError("ERR wrong number of arguments for 'slurp' command");
const PORT_MAX = 65_535;

/** Answers when all keys are here and compared with the Redis'; it goes on when the client does not wait for that. Others are served meanwhile. */
function slurp(client: Client, argv: Argv, _reply: Reply): void {
  const { server } = client;
  if (argv.length > 3) throw WRONG_NUMBER;
  const { host, port } = addressArg(argv, 1);
  const database = argv.length === 3 ? intArg(argv, 2, BAD_DATABASE, BAD_DATABASE) : 0;
  if (database < 0) throw BAD_DATABASE;
  let failure: string | undefined;
  client.pending = {
    until: server.slurp({ host, port, database, into: client.database.number }).catch((error) => {
      failure = reasonOf(error);
    }),
    done: (reply) => (failure === undefined ? reply.ok() : replyError(client, reply, `ERR ${failure}`)),
    failed: () => {},
  };
}

/** An IPv6 address stands in brackets. */
function addressArg(argv: Argv, i: number): { host: string; port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([^[\]]+)\]|([^[\]:]+)):(\d{1,5})$/.exec(argv.string(i)) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > PORT_MAX) throw BAD_ADDRESS;
  return { host: bracketed ?? plain ?? "", port };
}

export const SLURP_COMMANDS: readonly Command[] = [
  {
    name: "slurp",
    arity: -2,
    syntax: "host-port:string [db:integer]",
    flags: ["write", "admin", "noscript", "no_multi"],
    categories: ["admin", "dangerous"],
    group: "server",
    since: "1.0.0",
    complexity: "O(N) in the bytes of all values there",
    summary: "Brings the keys of a running Redis into this database.",
    differs:
      "not in Redis; the Go bitmapist-server answers before it begins, and leaves deadlines and keys without a bit behind",
    handler: slurp,
  },
];
