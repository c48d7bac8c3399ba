/** The requests that come on a socket, each an array of bulks, as latin1 strings: for peers that tests put in front of a server. */
import type { Socket } from "node:net";

export async function* readCommands(socket: Socket): AsyncGenerator<string[], void> {
  let text = "";
  for await (const chunk of socket) {
    text += (chunk as Buffer).toString("latin1");
    for (let command = first(text); command !== undefined; command = first(text)) {
      text = text.slice(command.end);
      yield command.argv;
    }
  }
}

function first(text: string): { argv: string[]; end: number } | undefined {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (head === null) return undefined;
  const argv: string[] = [];
  let end = head[0].length;
  for (let i = 0; i < Number(head[1]); i++) {
    const bulk = /\$(\d+)\r\n/y;
    bulk.lastIndex = end;
    const length = bulk.exec(text);
    if (length === null) return undefined;
    const start = bulk.lastIndex;
    end = start + Number(length[1]) + 2;
    if (text.length < end) return undefined;
    argv.push(text.slice(start, end - 2));
  }
  return { argv, end };
}
