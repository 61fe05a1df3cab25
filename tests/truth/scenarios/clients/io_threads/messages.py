"""Brokers of messages."""

import pulsar
from addresses import CERTIFICATE, address, split
from paho.mqtt.client import Client as MqttClient
from paho.mqtt.enums import CallbackAPIVersion


class Paho:
    def __init__(self, tls=False):
        self.client = MqttClient(CallbackAPIVersion.VERSION2)
        if tls:
            self.client.tls_set(CERTIFICATE)
        self.client.connect(*split("MQTT", tls), keepalive=600)
        self.client.loop_start()

    def use(self):
        message = self.client.publish("orders", b"one", qos=1)
        message.wait_for_publish(30)
        assert message.is_published()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Pulsar:
    def __init__(self):
        quiet = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)
        self.client = pulsar.Client(f"pulsar://{address('PULSAR')}", logger=quiet)
        self.producer = self.client.create_producer("orders")

    def use(self):
        self.producer.send(b"one")

    def close(self):
        self.client.shutdown()  # sends nothing
