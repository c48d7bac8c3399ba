/** `notify-keyspace-events`: Redis' letters for the classes of keyspace events and for the channels on which they are told. */

/** The classes that `A` stands for, in Redis' order. */
const ALL = "g$lshzxetd";

/** All letters, in the order in which Redis' error names them. */
export const EVENT_LETTERS = "Ag$lshzxeKEtmdn";

/** The letters of a text, with those that `A` stands for; undefined where one of them is none. */
export function parseEventClasses(text: string): Set<string> | undefined {
  const letters = new Set(text);
  for (const letter of letters) if (!EVENT_LETTERS.includes(letter)) return undefined;
  if (letters.delete("A")) for (const letter of ALL) letters.add(letter);
  return letters;
}

/** Letters as CONFIG GET shows them. Beside `A` Redis does not show `n`. */
export function formatEventClasses(letters: ReadonlySet<string>): string {
  const isAll = [...ALL].every((letter) => letters.has(letter));
  const shown = [...(isAll ? "" : `${ALL}n`), ..."KEm"].filter((letter) => letters.has(letter));
  return `${isAll ? "A" : ""}${shown.join("")}`;
}
