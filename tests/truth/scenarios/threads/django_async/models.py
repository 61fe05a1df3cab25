from django.db import models


class Order(models.Model):
    name = models.TextField()

    class Meta:
        app_label = "truth"
        db_table = "truth_orders"
