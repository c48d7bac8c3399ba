/** HELP of the commands that have subcommands, made from their rows. */
import type { Command, Handler } from "./command.js";

/** The handler of `NAME HELP`: a line or two for each subcommand, in Redis' form. */
export function helpHandler(name: string, subcommands: () => readonly Pick<Command, "name" | "summary">[]): Handler {
  return (_client, _argv, reply) => {
    const lines = [`${name.toUpperCase()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`];
    for (const { name: full, summary } of subcommands()) {
      lines.push((full.split("|")[1] as string).toUpperCase(), `    ${summary}`);
    }
    reply.array(lines.length);
    for (const line of lines) reply.simple(line);
  };
}
