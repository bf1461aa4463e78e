"""What `strict` asks of a model besides the prompt."""

STRICT = """\
Follow these rules before anything else:
1. Make new, original artwork: no screenshot, no existing picture, no display of a game, no watermark.
2. Where a reference picture is given, keep its layout: each element in the same place and of the same size.
3. Write every text letter by letter as it is given. No part of a text may be covered: all else is beside or behind it.
4. Show exactly the number of things that is asked for, no more and no fewer.
5. Add nothing that is not asked for: no further text, label, logo or object.
6. Show each character with exactly the traits that are described.
7. You are free in style alone: colour, light and manner.
8. You are not free in texts and numbers."""
