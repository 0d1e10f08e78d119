"""The composition root: settings, plugins, storage, sessions and an agent, joined.

`App.load` reads the settings and finds the plugins; inside ``async with`` it opens what is asked
for, and closes it at the end:

    async with App.load() as app:
        store = await app.store()
        agent = await app.agent()
        async with store.open_session("work", create=True) as session:
            async for event in app.run(agent, session, "Tidy the garden."):
                print(event)
"""

from massgen_core.app._app import App, host_of

__all__ = ["App", "host_of"]
