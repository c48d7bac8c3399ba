/** Words of the file of users: names and rules are one each. */

/** What can't stand in a word: what C takes for a space, and NUL. */
const SPACES = [..."\t\n\v\f\r \0"];

/** Whether there is a character in it that a word of a line can't have. */
export function hasSpace(word: string): boolean {
  return SPACES.some((space) => word.includes(space));
}
