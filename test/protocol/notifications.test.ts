/**
 * Keyspace notifications in conversations, which run on this server and, where there is one, on a redis-server. Which event each
 * command is, is compared in random runs (test/differential/notifications.test.ts).
 */
import { expect, test } from "vitest";
import { startOurs } from "../differential/ours.js";
import { START_MS } from "../differential/steps.js";
import { conversation, converse, testConversations } from "../support/conversation.js";
import { RawClient } from "../support/raw-client.js";

const CONVERSATIONS: Readonly<Record<string, string>> = {
  "an event is told on the key's channel and on the event's": `
    a> CONFIG SET notify-keyspace-events KEA
       +OK
    b> PSUBSCRIBE __key*__:*
       ["psubscribe" "__key*__:*" :1]
    a> SETBIT k 1 1
       :0
       b: ["pmessage" "__key*__:*" "__keyspace@0__:k" "setbit"]
       b: ["pmessage" "__key*__:*" "__keyevent@0__:setbit" "k"]
    a> SETBIT k 1 1
       :1
    a> SETBIT k 1 0
       :1
       b: ["pmessage" "__key*__:*" "__keyspace@0__:k" "setbit"]
       b: ["pmessage" "__key*__:*" "__keyevent@0__:setbit" "k"]
    a> SELECT 3; SET k v EX 100
       +OK
       +OK
       b: ["pmessage" "__key*__:*" "__keyspace@3__:k" "set"]
       b: ["pmessage" "__key*__:*" "__keyevent@3__:set" "k"]
       b: ["pmessage" "__key*__:*" "__keyspace@3__:k" "expire"]
       b: ["pmessage" "__key*__:*" "__keyevent@3__:expire" "k"]
    a> BITOP OR dest k nope; BITOP AND dest nope nope; BITOP AND dest nope nope
       :1
       :0
       :0
       b: ["pmessage" "__key*__:*" "__keyspace@3__:dest" "set"]
       b: ["pmessage" "__key*__:*" "__keyevent@3__:set" "dest"]
       b: ["pmessage" "__key*__:*" "__keyspace@3__:dest" "del"]
       b: ["pmessage" "__key*__:*" "__keyevent@3__:del" "dest"]
    a> MULTI; SET m 1; DEL m; EXEC
       +OK
       +QUEUED
       +QUEUED
       [+OK :1]
       b: ["pmessage" "__key*__:*" "__keyspace@3__:m" "set"]
       b: ["pmessage" "__key*__:*" "__keyevent@3__:set" "m"]
       b: ["pmessage" "__key*__:*" "__keyspace@3__:m" "del"]
       b: ["pmessage" "__key*__:*" "__keyevent@3__:del" "m"]
  `,
  "K, E and the classes choose": `
    b> PSUBSCRIBE __key*__:*
       ["psubscribe" "__key*__:*" :1]
    a> CONFIG SET notify-keyspace-events K$; SET k v; DEL k
       +OK
       +OK
       :1
       b: ["pmessage" "__key*__:*" "__keyspace@0__:k" "set"]
    a> CONFIG SET notify-keyspace-events Eg; SET k v; DEL k
       +OK
       +OK
       :1
       b: ["pmessage" "__key*__:*" "__keyevent@0__:del" "k"]
    a> CONFIG SET notify-keyspace-events KE; SET k v; DEL k
       +OK
       +OK
       :1
    a> CONFIG SET notify-keyspace-events gA; SET k v; DEL k
       +OK
       +OK
       :1
    a> CONFIG SET notify-keyspace-events Enm; GET k; SET k v; SET k v; DEL k
       +OK
       nil
       +OK
       +OK
       :1
       b: ["pmessage" "__key*__:*" "__keyevent@0__:keymiss" "k"]
       b: ["pmessage" "__key*__:*" "__keyevent@0__:new" "k"]
    a> CONFIG SET notify-keyspace-events ""; SET k v; DEL k
       +OK
       +OK
       :1
  `,
  "CONFIG GET shows the letters in Redis' order": `
    a> CONFIG SET notify-keyspace-events E$gKmnm; CONFIG GET notify-keyspace-events
       +OK
       ["notify-keyspace-events" "g$nKEm"]
    a> CONFIG SET notify-keyspace-events lshzxetdg$; CONFIG GET notify-keyspace-events
       +OK
       ["notify-keyspace-events" "A"]
    a> CONFIG SET notify-keyspace-events nAmK; CONFIG GET notify-keyspace-events
       +OK
       ["notify-keyspace-events" "AKm"]
    a> CONFIG SET notify-keyspace-events Kdtezxhsl$gn; CONFIG GET notify-keyspace-events
       +OK
       ["notify-keyspace-events" "AK"]
    a> CONFIG SET notify-keyspace-events Kdtez; CONFIG GET notify-keyspace-events
       +OK
       ["notify-keyspace-events" "zetdK"]
    a> CONFIG SET notify-keyspace-events k; CONFIG GET notify-keyspace-events
       -ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event class character. Use 'Ag$lshzxeKEtmdn'.
       ["notify-keyspace-events" "zetdK"]
    a> CONFIG SET notify-keyspace-events "K E"
       -ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event class character. Use 'Ag$lshzxeKEtmdn'.
    a> CONFIG SET notify-keyspace-events ""; CONFIG GET notify-keyspace-events
       +OK
       ["notify-keyspace-events" ""]
  `,
  "who listens to its own events gets them where Redis sends them": `
    a> HELLO 3; CONFIG SET notify-keyspace-events EAnm; PSUBSCRIBE __key*__:*
       (hello)
       +OK
       >["psubscribe" "__key*__:*" :1]
    a> SETBIT k 1 1; GETBIT nope 1; SET k v GET EX 9; GETSET k v; GETDEL k; GETDEL k
       >["pmessage" "__key*__:*" "__keyevent@0__:new" "k"]
       >["pmessage" "__key*__:*" "__keyevent@0__:setbit" "k"]
       :0
       >["pmessage" "__key*__:*" "__keyevent@0__:keymiss" "nope"]
       :0
       "@"
       >["pmessage" "__key*__:*" "__keyevent@0__:set" "k"]
       >["pmessage" "__key*__:*" "__keyevent@0__:expire" "k"]
       "v"
       >["pmessage" "__key*__:*" "__keyevent@0__:set" "k"]
       "v"
       >["pmessage" "__key*__:*" "__keyevent@0__:del" "k"]
       >["pmessage" "__key*__:*" "__keyevent@0__:keymiss" "k"]
       null
    a> MGET x y; EXISTS x y; TTL x; TYPE x; STRLEN x
       [>["pmessage" "__key*__:*" "__keyevent@0__:keymiss" "x"] null]
       >["pmessage" "__key*__:*" "__keyevent@0__:keymiss" "y"]
       null
       >["pmessage" "__key*__:*" "__keyevent@0__:keymiss" "x"]
       >["pmessage" "__key*__:*" "__keyevent@0__:keymiss" "y"]
       :0
       >["pmessage" "__key*__:*" "__keyevent@0__:keymiss" "x"]
       :-2
       >["pmessage" "__key*__:*" "__keyevent@0__:keymiss" "x"]
       +none
       >["pmessage" "__key*__:*" "__keyevent@0__:keymiss" "x"]
       :0
    a> SET k v; GETEX k EX 9; GETEX k PERSIST; GETEX k PXAT 1; SET k 1; INCR k; APPEND k 2; SETRANGE k 1 3
       >["pmessage" "__key*__:*" "__keyevent@0__:new" "k"]
       >["pmessage" "__key*__:*" "__keyevent@0__:set" "k"]
       +OK
       "v"
       >["pmessage" "__key*__:*" "__keyevent@0__:expire" "k"]
       "v"
       >["pmessage" "__key*__:*" "__keyevent@0__:persist" "k"]
       "v"
       >["pmessage" "__key*__:*" "__keyevent@0__:del" "k"]
       >["pmessage" "__key*__:*" "__keyevent@0__:new" "k"]
       >["pmessage" "__key*__:*" "__keyevent@0__:set" "k"]
       +OK
       >["pmessage" "__key*__:*" "__keyevent@0__:incrby" "k"]
       :2
       >["pmessage" "__key*__:*" "__keyevent@0__:append" "k"]
       :2
       >["pmessage" "__key*__:*" "__keyevent@0__:setrange" "k"]
       :2
    a> BITFIELD f SET u8 0 1 GET u8 0; BITOP NOT n f; RENAME n m; COPY m o; MOVE o 2; DEL k m f; MSET k 1 f 2; EXPIRE k 9; PERSIST k; EXPIRE k -1
       >["pmessage" "__key*__:*" "__keyevent@0__:new" "f"]
       [:0 :1]
       >["pmessage" "__key*__:*" "__keyevent@0__:setbit" "f"]
       >["pmessage" "__key*__:*" "__keyevent@0__:new" "n"]
       >["pmessage" "__key*__:*" "__keyevent@0__:set" "n"]
       :1
       >["pmessage" "__key*__:*" "__keyevent@0__:new" "m"]
       >["pmessage" "__key*__:*" "__keyevent@0__:rename_from" "n"]
       >["pmessage" "__key*__:*" "__keyevent@0__:rename_to" "m"]
       +OK
       >["pmessage" "__key*__:*" "__keyevent@0__:new" "o"]
       >["pmessage" "__key*__:*" "__keyevent@0__:copy_to" "o"]
       :1
       >["pmessage" "__key*__:*" "__keyevent@2__:new" "o"]
       >["pmessage" "__key*__:*" "__keyevent@0__:move_from" "o"]
       >["pmessage" "__key*__:*" "__keyevent@2__:move_to" "o"]
       :1
       >["pmessage" "__key*__:*" "__keyevent@0__:del" "k"]
       >["pmessage" "__key*__:*" "__keyevent@0__:del" "m"]
       >["pmessage" "__key*__:*" "__keyevent@0__:del" "f"]
       :3
       >["pmessage" "__key*__:*" "__keyevent@0__:new" "k"]
       >["pmessage" "__key*__:*" "__keyevent@0__:set" "k"]
       >["pmessage" "__key*__:*" "__keyevent@0__:new" "f"]
       >["pmessage" "__key*__:*" "__keyevent@0__:set" "f"]
       +OK
       :1
       >["pmessage" "__key*__:*" "__keyevent@0__:expire" "k"]
       >["pmessage" "__key*__:*" "__keyevent@0__:persist" "k"]
       :1
       >["pmessage" "__key*__:*" "__keyevent@0__:del" "k"]
       :1
    a> MULTI; SET k 1; GET nope; DEL k; EXEC
       +OK
       +QUEUED
       +QUEUED
       +QUEUED
       [>["pmessage" "__key*__:*" "__keyevent@0__:new" "k"] >["pmessage" "__key*__:*" "__keyevent@0__:set" "k"] +OK]
       >["pmessage" "__key*__:*" "__keyevent@0__:keymiss" "nope"]
       null
       >["pmessage" "__key*__:*" "__keyevent@0__:del" "k"]
       :1
    a> CONFIG SET notify-keyspace-events ""; FLUSHALL
       +OK
       +OK
  `,
};

testConversations("keyspace notifications", CONVERSATIONS);

test("a key that nobody asks for is told of when it expires, also one whose database another has taken the place of", async () => {
  const target = await startOurs();
  const subscriber = await RawClient.connect(target.port);
  await subscriber.call("CONFIG", "SET", "notify-keyspace-events", "Ex");
  await subscriber.call("SUBSCRIBE", "__keyevent@1__:expired");
  const client = await RawClient.connect(target.port);
  await client.call("SET", "k", "v", "PX", "1000");
  await client.call("SWAPDB", "0", "1");
  // Active expiry looks for it in the file.
  await client.call("SAVE");
  target.setClock(START_MS + 2000);
  const [message = ""] = await subscriber.replies(1);
  expect(message).toContain("__keyevent@1__:expired\r\n$1\r\nk\r\n");
  subscriber.close();
  client.close();
  await target.stop();
});

test("events may be asked for at the start", async () => {
  const target = await startOurs({ notifyKeyspaceEvents: new Set("Kg$") });
  const text = `
    a> CONFIG GET notify-keyspace-events
       ["notify-keyspace-events" "g$K"]
    b> SUBSCRIBE __keyspace@0__:k
       ["subscribe" "__keyspace@0__:k" :1]
    a> SET k v
       +OK
       b: ["message" "__keyspace@0__:k" "set"]
  `;
  expect(await converse(target.port, text)).toBe(conversation(text));
  await target.stop();
});
