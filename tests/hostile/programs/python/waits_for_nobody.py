# Waits for a lock, an event and a task that nobody will ever end.
# ends: program|fuel|time|trap
# limits: seconds=1
import asyncio
import threading

def run(input):
    async def forever():
        await asyncio.Event().wait()
    asyncio.run(forever())
    threading.Event().wait()
