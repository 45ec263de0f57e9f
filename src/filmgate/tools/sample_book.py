"""The sample book: a small game written for Filmgate, typeset when it is first needed."""

from pathlib import Path

from filmgate.tools.typesetting import typeset

TITLE = "Lanterns below the Weir"

SOURCE = r"""
#set document(title: "Lanterns below the Weir", author: "The makers of Filmgate", date: none)
#set page(width: 160mm, height: 220mm, margin: (x: 16mm, y: 20mm), columns: 2,
  footer: context align(right, text(9pt)[Lanterns below the Weir #counter(page).display()]))
#set text(size: 9.5pt, font: "Libertinus Serif", hyphenate: true, lang: "en")
#set par(justify: true, first-line-indent: 1em)
#show heading.where(level: 1): set text(size: 20pt)
#show heading.where(level: 2): set text(size: 14pt)
#show heading.where(level: 3): set text(size: 11.5pt)
#let spell(name, kind, time, range, body) = [
  === #name
  _#kind _ \
  *Casting Time:* #time \
  *Range:* #range

  #body
]

= Legal Information
Lanterns below the Weir is licensed under the Creative Commons Attribution 4.0 International
License. If you use it, include the following attribution statement in your own work: “This work
includes material from Lanterns below the Weir by the makers of Filmgate, licensed under CC BY
4.0.”

= Playing the Game
== Rolling the Dice
When the outcome is in doubt, roll two six-sided dice and add the trait that fits. Ten or more is a
success. Seven to nine is a success at a price: the keeper names it before you take it. Six or less
is a setback, and the water rises by one mark.

== The Rising Water
The weir has ten marks. Every setback raises the water by one. At the fifth mark the lower galleries
are flooded and nobody may rest there. At the tenth mark the gate gives way, and the session ends.
See “Resting” for what the water does to sleepers.

== Resting
A short rest takes ten minutes and restores one point of breath. A long rest takes six hours above
the waterline and restores all breath. Nobody can rest in a flooded gallery.

== Holding Your Breath
A character has as much breath as three plus Lungs. Each minute under water costs one point. A
character without breath loses consciousness, and drowns after three more minutes.

= Callings
== Diver
Divers know the galleries under the weir. A diver begins with five more points of breath than
others, and a diving bell that holds two.

== Lamplighter
Lamplighters carry the light that the deep things fear. A lamplighter casts spells from the
lamplighter list, and never stumbles in the dark.

== Sluicekeeper
Sluicekeepers turn the wheels. A sluicekeeper casts spells from the sluicekeeper list, and may lower
the water by one mark once per session.

= Gear
== What Things Cost
The table shows what can be bought at the chandlery, its price, and its weight.

#table(columns: (2fr, 1fr, 1fr), stroke: none, inset: 3pt,
  [*Item*], [*Price*], [*Weight*],
  [Boathook], [4 marks], [3 kg],
  [Diving bell], [60 marks], [40 kg],
  [Lantern], [7 marks], [1 kg],
  [Rope, 20 m], [2 marks], [2 kg],
  [Storm oil], [1 mark], [0.5 kg],
  [Waxed coat], [12 marks], [2 kg])

== Lanterns and Oil
A lantern burns for four hours on one flask of oil. In a flooded gallery it burns for one.

= Spell Lists
== Lamplighter Spells
#list(marker: [], indent: 0pt, body-indent: 0pt,
  [Blind the Deep], [Cold Flame], [Kindle], [Long Shadow])
== Sluicekeeper Spells
#list(marker: [], indent: 0pt, body-indent: 0pt,
  [Calm Water], [Cold Flame], [Turn the Wheel])

= Spell Descriptions
#spell("Blind the Deep", "Second-rank light", "1 action", "20 metres")[
  A glare runs along the ceiling. Every deep thing within range is blinded until the end of its next
  turn, and cannot use Lurk.]
#spell("Calm Water", "First-rank tide", "1 minute", "The gallery you stand in")[
  The water in the gallery lies still for an hour. Boats do not drift, and nobody is swept away.]
#spell("Cold Flame", "First-rank light", "1 action", "Touch")[
  A flame without heat burns on what you touch, for an hour, under water too. It deals no damage,
  and cannot be put out by water.]
#spell("Kindle", "First-rank light", "1 action", "10 metres")[
  You light a lantern that you can see. Cast on a creature, the spell deals 2d6 points of damage, or
  half as many where the creature is wet.]
#spell("Long Shadow", "Third-rank light", "1 action", "Self")[
  Your shadow may act for you for one minute. It has your traits, half your breath, and cannot be
  drowned.]
#spell("Turn the Wheel", "Second-rank tide", "10 minutes", "Any wheel that you have touched")[
  A sluice wheel turns by itself. The water sinks by one mark, or rises by one, as you say when you
  cast it.]

= Creatures
== Weir Eel
_Medium beast, unaligned_

*Armor Class* 12 \
*Hit Points* 9 (2d6 + 2) \
*Speed* 2 m, swim 12 m

*Bite.* +3 to hit, one target. _Hit:_ 5 points of piercing damage, and the target is held.

== Drowned Warden
_Medium undead, loyal to the gate_

*Armor Class* 15 (rusted mail) \
*Hit Points* 22 (4d8 + 4) \
*Speed* 8 m

*Lurk.* In the dark the warden cannot be seen until it attacks. *Halberd.* +5 to hit, reach 3 m.
_Hit:_ 8 points of slashing damage. A drowned warden fears Cold Flame, and does not come near it.
"""


def typeset_book(path: Path) -> None:
    """Typeset the sample book to `path`: eight chapters in two columns, with an outline."""
    path.write_bytes(typeset(SOURCE.encode(), {}, {}))
