// amqplib, the client for Node.js, against examples/conformance: `scripts/amqp-clients` runs it.
//
// Publishes, consumes, asks, answers; ends with an error where something is not as a plain client
// expects it.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";

const [url, base, home] = process.argv.slice(2);
const amqplib = createRequire(`${home}/`)("amqplib");

const [ECHO, REFUSE, NOTE] = ["conformance.echo", "conformance.refuse", "conformance.note"];
const LIMIT = 20_000;

const json = (value) => Buffer.from(JSON.stringify(value));

const within = (what, promise) => {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what} takes too long`)), LIMIT);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

async function take(channel, queue) {
    let tag;
    const message = await within(queue, new Promise((resolve) => {
        tag = channel.consume(queue, resolve);
    }));
    channel.ack(message);
    await channel.cancel((await tag).consumerTag);
    return message;
}

async function ask(channel, queue, body) {
    const correlationId = randomUUID();
    let consuming;
    const reply = new Promise((resolve) => {
        consuming = channel.consume("amq.rabbitmq.reply-to", resolve, { noAck: true });
    });
    const { consumerTag } = await consuming;
    const options = { replyTo: "amq.rabbitmq.reply-to", correlationId, mandatory: true };
    channel.publish("", queue, json(body), options);
    const message = await within(`a reply of ${queue}`, reply);
    assert.equal(message.properties.correlationId, correlationId);
    await channel.cancel(consumerTag);
    return message;
}

async function asks(channel) {
    const reply = await ask(channel, ECHO, { text: "ü" });
    assert.deepEqual(JSON.parse(reply.content), { text: "ü" });
}

async function asksInVain(channel) {
    const { properties } = await ask(channel, REFUSE, { text: "x" });
    assert.equal(properties.headers["x-exception-kind"], "NOT_FOUND");
    assert.equal(properties.headers["x-exception-reason"], "NO_SUCH_THING");
}

async function publishes(channel) {
    await channel.assertQueue("amqplib.notes", { autoDelete: true });
    const body = { text: "from amqplib", to: "amqplib.notes" };
    await new Promise((resolve, reject) => {
        const told = (error) => (error ? reject(error) : resolve());
        channel.publish("", NOTE, json(body), { mandatory: true }, told);
    });
    const { content, properties } = await take(channel, "amqplib.notes");
    assert.equal(JSON.parse(content).text, "from amqplib");
    assert.equal(properties.deliveryMode, 2);
    assert.equal(properties.contentType, "application/json");
    assert.ok(properties.messageId && properties.timestamp);
}

async function isParked(channel) {
    channel.publish("", REFUSE, json({}), { messageId: "m2" });
    const { properties } = await take(channel, `${REFUSE}.dead`);
    assert.equal(properties.messageId, "m2");
    assert.equal(properties.headers["x-exception-kind"], "NOT_FOUND");
}

async function answers(channel) {
    await channel.assertQueue("amqplib.upper", { autoDelete: true });
    await channel.consume("amqplib.upper", (message) => {
        const { text } = JSON.parse(message.content);
        const { replyTo, correlationId } = message.properties;
        channel.publish("", replyTo, json({ text: text.toUpperCase() }), { correlationId });
        channel.ack(message);
    });
    const reply = await fetch(`${base}/request/amqplib.upper`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: json({ text: "shout" }),
        signal: AbortSignal.timeout(LIMIT),
    });
    assert.deepEqual([reply.status, await reply.json()], [200, { text: "SHOUT" }]);
}

const connection = await amqplib.connect(url);
for (const test of [asks, asksInVain, publishes, isParked, answers]) {
    await test(await connection.createConfirmChannel());
    console.log(`amqplib: ${test.name}`);
}
await connection.close();
