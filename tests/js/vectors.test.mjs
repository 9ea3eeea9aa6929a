// The golden vectors in JavaScript (rule E5), with nothing of the Python code: `canonicalize` is the RFC 8785 reference
// implementation, and ethers encodes the typed data from type descriptions.
//
//     node --test tests/js/vectors.test.mjs

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import canonicalize from "canonicalize";
import { concat, id, keccak256, recoverAddress, SigningKey, toUtf8Bytes, TypedDataEncoder } from "ethers";

const vectors = JSON.parse(readFileSync(new URL("../vectors/protocol.json", import.meta.url), "utf8"));
const GRID_DECIMALS = 4n;
const MODES = ["direct", "channel", "key", "credits"];

const CALL = {
  DirectCall: [
    { name: "payer", type: "address" },
    { name: "listingId", type: "uint256" },
    { name: "revision", type: "uint32" },
    { name: "oracle", type: "address" },
    { name: "asset", type: "address" },
    { name: "amount", type: "uint128" },
    { name: "deadline", type: "uint40" },
    { name: "requestCommitment", type: "bytes32" },
  ],
};

const RECEIPT = {
  Receipt: [
    { name: "callId", type: "bytes32" },
    { name: "mode", type: "uint8" },
    { name: "payer", type: "address" },
    { name: "oracle", type: "address" },
    { name: "listingId", type: "uint256" },
    { name: "revision", type: "uint32" },
    { name: "manifestHash", type: "bytes32" },
    { name: "requestCommitment", type: "bytes32" },
    { name: "parametersHash", type: "bytes32" },
    { name: "resultHash", type: "bytes32" },
    { name: "inputTokens", type: "uint32" },
    { name: "outputTokens", type: "uint32" },
    { name: "computeMs", type: "uint32" },
    { name: "asset", type: "address" },
    { name: "charge", type: "uint128" },
    { name: "cumulativeSpend", type: "uint128" },
    { name: "issuedAt", type: "uint64" },
  ],
};

function domainOf(vector) {
  return { name: "Tallystick", version: "1", chainId: vector.domain.chain_id, verifyingContract: vector.domain.escrow };
}

function commit(tag, salt, canonical) {
  return keccak256(concat([id(tag), salt, toUtf8Bytes(canonical)]));
}

// The double's exact value as a fraction of two integers.
function fractionOf(number) {
  let denominator = 1n;
  while (!Number.isInteger(number)) {
    number *= 2;
    denominator *= 2n;
  }
  return [BigInt(number), denominator];
}

// The nearest multiple of 10^-GRID_DECIMALS, ties to the even digit, decided on the double's exact value.
function roundToGrid(number) {
  const [numerator, denominator] = fractionOf(Math.abs(number));
  const scaled = numerator * 10n ** GRID_DECIMALS;
  let digits = scaled / denominator;
  const twiceRest = 2n * (scaled % denominator);
  if (twiceRest > denominator || (twiceRest === denominator && digits % 2n === 1n)) digits += 1n;
  const rounded = Number(`${digits}e-${GRID_DECIMALS}`);
  return number < 0 && rounded !== 0 ? -rounded : rounded;
}

function onGrid(value) {
  if (typeof value === "number") return roundToGrid(value);
  if (Array.isArray(value)) return value.map(onGrid);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, onGrid(item)]));
  }
  return value;
}

function priceOf({ prices, units }) {
  const metered =
    BigInt(units.input_tokens) * BigInt(prices.per_thousand_input_tokens) +
    BigInt(units.output_tokens) * BigInt(prices.per_thousand_output_tokens) +
    BigInt(units.compute_ms) * BigInt(prices.per_compute_second);
  return BigInt(prices.per_call) + metered / 1000n;
}

function receiptOf(receipt) {
  return {
    callId: receipt.call_id,
    mode: MODES.indexOf(receipt.mode),
    payer: receipt.payer,
    oracle: receipt.oracle,
    listingId: receipt.listing,
    revision: receipt.revision,
    manifestHash: receipt.manifest_hash,
    requestCommitment: receipt.request_commitment,
    parametersHash: receipt.parameters_hash,
    resultHash: receipt.result_hash,
    inputTokens: receipt.units.input_tokens,
    outputTokens: receipt.units.output_tokens,
    computeMs: receipt.units.compute_ms,
    asset: receipt.asset,
    charge: receipt.charge,
    cumulativeSpend: receipt.cumulative_spend,
    issuedAt: receipt.issued_at,
  };
}

function callOf(call) {
  return {
    payer: call.payer,
    listingId: call.listing,
    revision: call.revision,
    oracle: call.oracle,
    asset: call.asset,
    amount: call.amount,
    deadline: call.deadline,
    requestCommitment: call.request_commitment,
  };
}

// One test a vector, so that a failure names it; an empty or missing section fails too.
function each(section, check) {
  test(`${section} has vectors`, () => assert.ok(vectors[section]?.length > 1));
  for (const vector of vectors[section] ?? []) test(`${section}: ${vector.name}`, () => check(vector));
}

each("canonical_json", (vector) => {
  const canonical = canonicalize(JSON.parse(vector.text));
  assert.equal(canonical, vector.canonical);
  assert.equal(keccak256(toUtf8Bytes(canonical)), vector.keccak256);
});

each("request_commitments", (vector) => {
  const canonical = canonicalize(vector.request);
  assert.equal(canonical, vector.canonical);
  assert.equal(commit("tallystick/request/1", vector.salt, canonical), vector.commitment);
});

each("parameters_hashes", (vector) => {
  const canonical = canonicalize(vector.parameters);
  assert.equal(canonical, vector.canonical);
  assert.equal(commit("tallystick/parameters/1", vector.salt, canonical), vector.hash);
});

each("result_hashes", (vector) => {
  const canonical = canonicalize(onGrid(vector.result));
  assert.equal(canonical, vector.canonical);
  assert.equal(commit("tallystick/result/1", vector.salt, canonical), vector.hash);
});

each("manifest_hashes", (vector) => {
  const canonical = canonicalize(vector.manifest);
  assert.equal(canonical, vector.canonical);
  assert.equal(keccak256(toUtf8Bytes(canonical)), vector.hash);
});

each("prices", (vector) => assert.equal(priceOf(vector), BigInt(vector.price)));

each("call_ids", (vector) => {
  assert.equal(TypedDataEncoder.hashStruct("DirectCall", CALL, callOf(vector.call)), vector.struct_hash);
  assert.equal(TypedDataEncoder.hash(domainOf(vector), CALL, callOf(vector.call)), vector.call_id);
});

each("receipts", (vector) => {
  const digest = TypedDataEncoder.hash(domainOf(vector), RECEIPT, receiptOf(vector.receipt));
  assert.equal(digest, vector.digest);
  assert.equal(recoverAddress(digest, vector.signature), vector.signer);
  assert.equal(new SigningKey(vector.private_key).sign(digest).serialized, vector.signature);
});
