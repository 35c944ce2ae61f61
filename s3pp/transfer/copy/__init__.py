"""Copies of objects: by the store itself, or through this machine.

``planner`` merges the two listings, ``overlap`` excludes copies of copies; ``copier`` copies one
object, with its state in ``course``. ``by_store`` sends a CopyObject, ``asked`` finds whether the
requested settings are why the store refuses; ``through`` copies through this machine, using
``fetch``. ``carry`` and ``labels`` choose the headers and tags to copy. For large objects:
``layout`` chooses the parts, ``in_parts`` verifies them, ``parts_by_store`` and
``parts_through`` transfer them.
"""
