"""From the words of a command line to a ``Job``: what all front ends share.

``parser`` is argparse; ``options`` gives it the options that fields of ``Job`` declare; ``values``
reads what follows an option; ``building`` settles what several options say together, and refuses
what cannot be meant; ``headers`` knows which headers may be set. The argparse Namespace ends here.
"""
