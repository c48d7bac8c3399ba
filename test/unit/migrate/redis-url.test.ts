import { expect, test } from "vitest";
import { MigrateError } from "../../../src/migrate/item.js";
import { parseRedisUrl } from "../../../src/migrate/redis-url.js";

test.each([
  ["redis://localhost", { host: "localhost", port: 6379, database: undefined, tls: false }],
  ["redis://10.0.0.1:7000/3", { host: "10.0.0.1", port: 7000, database: 3, tls: false }],
  ["rediss://[::1]:7000/", { host: "::1", port: 7000, database: undefined, tls: true }],
  ["REDIS://h/0", { host: "h", port: 6379, database: 0, tls: false }],
  ["redis://secret@h", { host: "h", port: 6379, password: "secret", database: undefined, tls: false }],
  ["redis://:secret@h", { host: "h", port: 6379, password: "secret", database: undefined, tls: false }],
  [
    "redis://u:p%40%3A%2F%25%20@h",
    { host: "h", port: 6379, user: "u", password: "p@:/% ", database: undefined, tls: false },
  ],
])("%s", (text, url) => {
  expect(parseRedisUrl(text)).toEqual(url);
});

test.each([
  ["localhost:6379", /^a Redis is named by a URL: write redis:\/\//],
  ["http://h", /^a Redis is named by a URL/],
  ["redis://", /can't be read/],
  ["redis://h:99999", /can't be read/],
  ["redis://h/x", /ends with \/x$/],
  ["redis://h/-1", /ends with \/-1$/],
  ["redis://h/1/2", /ends with \/1\/2$/],
  ["redis://h/1?x=y", /ends with its database/],
  ["redis://:secret%@h", /badly encoded/],
])("%s is refused, and no password shown", (text, message) => {
  expect(() => parseRedisUrl(text)).toThrow(MigrateError);
  expect(() => parseRedisUrl(text)).toThrow(message);
  expect(() => parseRedisUrl(text)).not.toThrow(/secret/);
});
