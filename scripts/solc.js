#!/usr/bin/env node
// The pinned npm `solc` behind the command line that py-solc-x expects of an installed compiler: `--version`, or
// standard JSON on standard input. Other options (`--allow-paths` among them) are accepted and ignored.
"use strict";
const fs = require("fs");
const path = require("path");
const solc = require("solc");

if (process.argv.includes("--version")) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
  process.exit(0);
}

function readImport(name) {
  try {
    return { contents: fs.readFileSync(path.resolve(process.cwd(), name), "utf8") };
  } catch (error) {
    return { error: `${name}: ${error.code}` };
  }
}

process.stdout.write(solc.compile(fs.readFileSync(0, "utf8"), { import: readImport }));
