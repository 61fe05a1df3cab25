from brokers import BROKERS
from confluent_kafka import Producer
from django.db import models, transaction


class Group(models.Model):
    message = models.TextField()

    def save(self, *args, **kwargs):
        """What no marker tells: a saved group is told to others as soon as it is committed."""
        super().save(*args, **kwargs)
        transaction.on_commit(self.publish)

    def publish(self):
        producer = Producer(BROKERS)
        producer.produce("orders", str(self.pk).encode())
        assert producer.flush(30) == 0
