import { describe, expect, test } from "vitest";
import { type FlagNames, translateGoFlags } from "../../../src/cli/go-flags.js";

const NAMES: FlagNames = {
  valued: new Set(["addr", "db", "bak", "bind", "rename-command"]),
  lists: new Set(["bind", "rename-command"]),
  isWithoutEffect: (name) => name === "save" || name.startsWith("cluster-"),
  switches: new Set(["debug", "v", "version"]),
};

describe("translateGoFlags", () => {
  test.each([
    ["-addr=:6379 -db=x -bak=y -debug -version", "--addr=:6379 --db=x --bak=y --debug --version"],
    ["-addr :6379 -db x", "--addr :6379 --db x"],
    ["--addr=:6379 --db x --debug", "--addr=:6379 --db x --debug"],
    ["serve -addr=:6379", "serve --addr=:6379"],
    ["-v", "-v"],
    ["--v", "-v"],
    ["-v=true", "-v"],
    ["-db=a=b", "--db=a=b"],
    ["-bak=", "--bak="],
    ["-db -debug -debug", "--db -debug --debug"],
    ["--db -addr=1 -debug", "--db -addr=1 --debug"],
    ["-db", "--db"],
    ["-unknown=1 -unknown", "--unknown=1 --unknown"],
    ["-debug -- -debug", "--debug -- -debug"],
    ["- -1 x", "- -1 x"],
    ["--save --db x", "--without-effect save --db x"],
    ["--save 60 1 --db x", "--without-effect save --db x"],
    ["-cluster-enabled=no x", "--without-effect cluster-enabled x"],
    ["--bind=a --db x", "--bind=a --db x"],
    ["--bind --db x", "--bind --db x"],
    ["--bind -::1 -debug", "--bind -::1 --debug"],
    ["version", "--version"],
    ["help", "--help"],
    ["-db version", "--db version"],
    ["", ""],
  ])("%s", (given, translated) => {
    const words = (text: string): string[] => text.split(" ").filter((word) => word !== "");
    expect(translateGoFlags(words(given), NAMES)).toEqual(words(translated));
  });

  test.each([
    [
      ["--bind", "127.0.0.1", "-::1", "--db", "x"],
      ["--bind", "127.0.0.1 -::1", "--db", "x"],
    ],
    [
      ["file", "-bind", "* -::*", "-addr=:1"],
      ["file", "--bind", "* -::*", "--addr=:1"],
    ],
    [
      ["--rename-command", "FLUSHALL", "", "--rename-command", 'a"b', "c ä"],
      ["--rename-command", 'FLUSHALL ""', "--rename-command", '"a\\"b" "c \\xc3\\xa4"'],
    ],
    [
      ["--save", ""],
      ["--without-effect", "save"],
    ],
  ])("%j takes all values up to the next option", (given, translated) => {
    expect(translateGoFlags(given, NAMES)).toEqual(translated);
  });

  test.each(["1", "t", "T", "true", "TRUE", "True"])("-debug=%s switches on", (value) => {
    expect(translateGoFlags([`-debug=${value}`], NAMES)).toEqual(["--debug"]);
    expect(translateGoFlags([`--debug=${value}`], NAMES)).toEqual(["--debug"]);
  });

  test.each(["0", "f", "F", "false", "FALSE", "False"])("-debug=%s leaves off", (value) => {
    expect(translateGoFlags([`-debug=${value}`, "-db=x"], NAMES)).toEqual(["--db=x"]);
  });

  test("a switch that is neither true nor false is refused by name", () => {
    expect(() => translateGoFlags(["-debug=maybe"], NAMES)).toThrow(
      "option '--debug' is a switch: 'maybe' is neither true nor false",
    );
    expect(() => translateGoFlags(["-debug="], NAMES)).toThrow("''");
  });

  test("an empty value and a value with line breaks stay as they are", () => {
    expect(translateGoFlags(["-bak", "", "-db=a\nb"], NAMES)).toEqual(["--bak", "", "--db=a\nb"]);
  });
});
