"""pika, the client for Python, against examples/conformance: `scripts/amqp-clients` runs it.

Publishes, consumes, asks, answers; ends with an error where something is not as a plain client
expects it.
"""

import json
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

import pika

ECHO, REFUSE, NOTE = "conformance.echo", "conformance.refuse", "conformance.note"
LIMIT = 20


def connect(url):
    return pika.BlockingConnection(pika.URLParameters(url))


def post(base, path, body):
    """Posts JSON; gives the status and what was answered."""
    request = urllib.request.Request(
        base + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def take(channel, queue):
    """The next message of a queue."""
    for method, properties, body in channel.consume(queue, inactivity_timeout=LIMIT):
        assert method is not None, "nothing came in %s" % queue
        channel.basic_ack(method.delivery_tag)
        channel.cancel()
        return properties, body


def ask(channel, queue, body):
    """A request over direct reply-to."""
    replies, token = [], str(uuid.uuid4())
    on_reply = lambda _channel, _method, properties, body: replies.append((properties, body))
    tag = channel.basic_consume("amq.rabbitmq.reply-to", on_reply, auto_ack=True)
    channel.basic_publish(
        "",
        queue,
        json.dumps(body),
        pika.BasicProperties(
            reply_to="amq.rabbitmq.reply-to",
            correlation_id=token,
            content_type="application/json",
        ),
        mandatory=True,
    )
    until = time.monotonic() + LIMIT
    while not replies and time.monotonic() < until:
        channel.connection.process_data_events(time_limit=1)
    channel.basic_cancel(tag)
    assert len(replies) == 1, "one reply is expected: %r" % replies
    properties, body = replies[0]
    assert properties.correlation_id == token
    return properties, body


def asks(channel):
    properties, body = ask(channel, ECHO, {"text": "ü"})
    assert json.loads(body) == {"text": "ü"}, body
    assert "x-exception-kind" not in (properties.headers or {})


def asks_in_vain(channel):
    properties, body = ask(channel, REFUSE, {"text": "x"})
    assert properties.headers["x-exception-kind"] == "NOT_FOUND", properties.headers
    assert properties.headers["x-exception-reason"] == "NO_SUCH_THING", properties.headers
    assert b"no such thing" in body, body


def publishes(channel):
    """What it publishes is handled: the operation publishes it again, to another queue."""
    channel.confirm_delivery()
    channel.queue_declare("pika.notes", auto_delete=True)
    body = {"text": "from pika", "to": "pika.notes"}
    channel.basic_publish("", NOTE, json.dumps(body), mandatory=True)
    properties, body = take(channel, "pika.notes")
    assert json.loads(body)["text"] == "from pika", body
    assert properties.delivery_mode == 2 and properties.message_id and properties.timestamp
    assert properties.content_type == "application/json"


def is_parked(channel):
    """What cannot be handled is parked with the reason."""
    channel.basic_publish("", REFUSE, b"{}", pika.BasicProperties(message_id="m1"))
    properties, _ = take(channel, REFUSE + ".dead")
    assert properties.message_id == "m1", properties
    assert properties.headers["x-exception-kind"] == "NOT_FOUND", properties.headers


def answers(url, base):
    """It answers what polyport asks: a value, a fault's absence, and nothing at all."""
    ready = threading.Event()

    def serve():
        connection = connect(url)
        channel = connection.channel()
        channel.queue_declare("pika.upper", auto_delete=True)
        for method, properties, body in channel.consume("pika.upper", inactivity_timeout=LIMIT):
            if method is None:
                break
            reply = json.dumps({"text": json.loads(body)["text"].upper()})
            channel.basic_publish(
                "",
                properties.reply_to,
                reply,
                pika.BasicProperties(correlation_id=properties.correlation_id),
            )
            channel.basic_ack(method.delivery_tag)
            break
        connection.close()

    connection = connect(url)
    connection.channel().queue_declare("pika.upper", auto_delete=True)
    thread = threading.Thread(target=serve)
    thread.start()
    status, reply = post(base, "/request/pika.upper", {"text": "shout"})
    assert (status, reply) == (200, {"text": "SHOUT"}), (status, reply)
    thread.join(LIMIT)
    connection.close()
    status, reply = post(base, "/request/nobody.is.there", {"text": "x"})
    assert status == 503, (status, reply)


def main():
    url, base = sys.argv[1:]
    connection = connect(url)
    for test in (asks, asks_in_vain, publishes, is_parked):
        test(connection.channel())
        print("pika: %s" % test.__name__)
    connection.close()
    answers(url, base)
    print("pika: answers")


main()
