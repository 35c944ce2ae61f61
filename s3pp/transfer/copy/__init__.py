"""An object becomes another one: by the store, or fetched and put through this machine.

``planner`` merges the two listings, ``overlap`` leaves out copies of copies; ``copier`` brings one
object to its end, and its ``course`` is how far it has come. ``by_store`` sends a CopyObject,
``asked`` tells whether the store or the request is to blame for a refusal; ``through`` passes it
through this machine, by ``fetch``. ``carry`` and ``labels`` are what goes along. Of large objects:
``layout`` says in which parts, ``in_parts`` proves them, ``parts_by_store`` and ``parts_through``
move them.
"""
