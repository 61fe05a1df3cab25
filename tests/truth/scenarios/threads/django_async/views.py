from django.http import JsonResponse
from django.urls import path
from models import Order


async def orders(request):
    return JsonResponse({"orders": await Order.objects.acount()})


urlpatterns = [path("orders", orders)]
