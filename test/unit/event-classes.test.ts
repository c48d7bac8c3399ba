/** Letters of `notify-keyspace-events`. What Redis shows of which is in test/protocol/notifications.test.ts. */
import { expect, test } from "vitest";
import { EVENT_LETTERS, formatEventClasses, parseEventClasses } from "../../src/event-classes.js";

test.each([...EVENT_LETTERS].filter((letter) => letter !== "A"))("%s is shown as it was given, once", (letter) => {
  const letters = parseEventClasses(letter + letter);
  expect(letters && formatEventClasses(letters)).toBe(letter);
});

test.each(["a", "k", " ", "KEA ", "Ä", "*"])("%j is no letter", (text) => {
  expect(parseEventClasses(text)).toBeUndefined();
});
