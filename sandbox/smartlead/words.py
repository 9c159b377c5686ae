"""What companies are called and what their people do.

Two-part names decode uniquely; a test holds that.
"""

from __future__ import annotations

STEMS: tuple[str, ...] = tuple(
    """
    Nord Alder Amber Anchor Apex Arbor Argo Aspen Aster Atlas Aurora Basalt Bay Beacon Birch
    Blue Bolder Brant Bright Brook Cairn Calder Canyon Cape Cedar Chalk Cinder Cirrus Clear
    Cliff Clover Cobalt Copper Coral Crest Crown Cypress Dale Dawn Delta Drift Dune Eagle Earl
    East Echo Elder Ember Evergreen Falcon Fern Finch Fjord Flint Fox Frost Garnet Glacier Glen
    Golden Granite Grey Grove Gull Hale Harrow Haven Hawk Hazel Heath Helio Heron Hollow Horizon
    Indigo Iris Iron Ivory Jade Jasper Juniper Kelp Keystone Kite Larch Lark Laurel Linden Loch
    Lotus Lumen Lunar Maple Marble Marlow Meadow Merid Mica Mint Mistral Moss Nimbus North Oak
    Ochre Onyx Opal Orchid Osprey Otter Palm Peak Pearl Pebble Pine Plover Polar Prairie Quartz
    Quill Rain Raven Red Reef Ridge Robin Rowan Ruby Saffron Sage Salt Sand Sequoia Shale Silver
    Sky Slate Solar Sorrel Spruce Star Stone Storm Summit Swift Tamar Teal Tern Thistle Tide
    Timber Topaz Tundra Umber Vale Verdant Violet Vista Walnut Wave West Wild Willow Wren Yarrow
    Zephyr Zinc
    """.split()  # noqa: SIM905 - a page of words reads better so
)

ENDINGS: tuple[str, ...] = tuple(
    """
    wind works field stone bridge gate port path point line mark craft forge mill yard house
    hall light water wood land mont view side well spring crestal ford haven haus berg dal fall
    grid loop stack base cloud data logic metric signal pulse flow shift scale sense soft code
    byte wire link node mesh hub desk board sheet book page script press print frame lens scope
    sight map trail route way track drive motion motor rail cargo freight ship dock pier harbor
    trade market goods supply store kart cart shop retail pay ledger capital fund bank trust
    assure secure guard shield health care med bio pharma gen food farm fresh
    """.split()  # noqa: SIM905 - a page of words reads better so
)

STYLES: tuple[tuple[str, str], ...] = (
    ("", ""),
    ("group", " Group"),
    ("labs", " Labs"),
    ("partners", " Partners"),
    ("consulting", " Consulting"),
    ("systems", " Systems"),
    ("solutions", " Solutions"),
    ("studio", " Studio"),
    ("holding", " Holding"),
    ("global", " Global"),
    ("digital", " Digital"),
    ("industries", " Industries"),
    ("ventures", " Ventures"),
    ("services", " Services"),
    ("analytics", " Analytics"),
    ("energy", " Energy"),
)

TITLES: tuple[str, ...] = (
    "CEO",
    "Founder",
    "Co-founder & CTO",
    "Managing Director",
    "Head of Sales",
    "VP Sales",
    "VP Marketing",
    "Chief Revenue Officer",
    "Sales Director, EMEA",
    "Account Executive",
    "Business Development Manager",
    "Head of Growth",
    "Growth Marketing Manager",
    "Demand Generation Lead",
    "Content Strategist",
    "Head of Operations",
    "COO",
    "Operations Manager",
    "CFO",
    "Finance Director",
    "Head of Procurement",
    "Purchasing Manager",
    "Head of People",
    "Talent Acquisition Partner",
    "CTO",
    "VP Engineering",
    "Engineering Manager",
    "IT Director",
    "Head of Data",
    "Product Manager",
    "Customer Success Lead",
    "Regional Manager, D/A/CH",
    "Partner",
    "Legal Counsel",
    "Office Manager",
    "Geschäftsführerin",
    "Directeur commercial",
    "Responsable d'exploitation",
    "Jefe de ventas",
    "営業部長",
)

INDUSTRIES: tuple[str, ...] = (
    "B2B SaaS",
    "Logistics",
    "Manufacturing",
    "Retail",
    "Healthcare",
    "Fintech",
    "Construction",
    "Energy",
    "Education",
    "Hospitality",
    "Agriculture",
    "Professional services",
)

SIZES: tuple[str, ...] = ("1-10", "11-50", "51-200", "201-500", "501-1000", "1001-5000", "5000+")
