from asgiref.sync import sync_to_async
from django.db import transaction
from django.http import JsonResponse
from memori import Attribution

from .memory import memori
from .models import Line


def say(request):
    line = Line.objects.create(text=request.POST["text"])
    receipt = memori.record([("user", line.text)], attribution=Attribution(request.POST["who"]))
    if "fail" in request.POST:
        raise RuntimeError("after the turn was stored")
    return JsonResponse({"stored": receipt.stored})


def recall(request):
    found = memori.recall(request.GET["query"], attribution=Attribution(request.GET["who"]))
    return JsonResponse({"found": [one.text for one in found]})


@transaction.non_atomic_requests
async def asay(request):
    line = await Line.objects.acreate(text=request.POST["text"])
    receipt = await memori.arecord([("user", line.text)], attribution=Attribution(request.POST["who"]))
    return JsonResponse({"stored": receipt.stored})


@transaction.non_atomic_requests
async def arecall(request):
    await sync_to_async(memori.augmentation.wait)(30)
    found = await memori.arecall(request.GET["query"], attribution=Attribution(request.GET["who"]))
    return JsonResponse({"found": [one.text for one in found]})
