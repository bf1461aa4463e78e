"""What is read from the words of a task: the thing, its name, its people, its day, its offer, its last words."""

import pytest

from darkroom.domain.task_words import READERS, read_audience, read_name, read_subject, read_trade

READ = ("trade", "name", "audience", "date", "offer", "closing")


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (
            "A sourdough bakery named Crumb & Co in Bristol for young families",
            {"trade": "sourdough bakery", "name": "Crumb & Co", "audience": "young families"},
        ),
        (
            "Nordlys, a Danish skincare brand for sensitive skin",
            {"trade": "Danish skincare brand for sensitive skin", "name": "Nordlys"},
        ),
        (
            "Launch Lumen, a rechargeable reading lamp for night readers, on 2027-02-01, 20 % off in the first week",
            {
                "trade": "rechargeable reading lamp",
                "name": "Lumen",
                "audience": "night readers",
                "date": "2027-02-01",
                "offer": "20 % off in the first week",
            },
        ),
        ("make it nice", {}),
        ("make a nice video", {}),
        ("surprise me", {}),
        ("Make me a brand kit", {}),
        (
            "a 15 s video for blue running shoes ending with Buy now",
            {"trade": "blue running shoes", "closing": "Buy now"},
        ),
        (
            'a film about our red kettle that ends with the words "Tea in a minute"',
            {"trade": "red kettle", "closing": "Tea in a minute"},
        ),
        ("Video for oat milk. Call to action: Taste it today", {"trade": "oat milk", "closing": "Taste it today"}),
        (
            "spot for our e-bike; call to action is Book a test ride; 12 s",
            {"trade": "e-bike", "closing": "Book a test ride"},
        ),
        ("clip of a watch ending on the line: Time well spent", {"trade": "watch", "closing": "Time well spent"}),
        (
            'a 20 second vertical ad for our vegan burger, closing line "Bite back"',
            {"trade": "vegan burger", "closing": "Bite back"},
        ),
        (
            "a video of our latte for busy parents on TikTok, ends with our logo",
            {"trade": "latte", "audience": "busy parents"},
        ),
        (
            "product video of the Tern folding bike, 9:16, for TikTok, ending with a sunset",
            {"trade": "Tern folding bike"},
        ),
        (
            "Brand kit for Halo, a yoga studio for beginners",
            {"trade": "yoga studio", "name": "Halo", "audience": "beginners"},
        ),
        ("I run a bike shop called Spoke & Wheel in Leeds", {"trade": "bike shop", "name": "Spoke & Wheel"}),
        ("bike shop called Spoke & Wheel", {"trade": "bike shop", "name": "Spoke & Wheel"}),
        ("Kanto is a ramen bar that opens late", {"trade": "ramen bar", "name": "Kanto"}),
        ("launch Kanto on 3 March 2027", {"name": "Kanto", "date": "3 March 2027"}),
        (
            "Posts for the launch of our new desk lamp Halo (price 49 EUR) on May 5",
            {"trade": "desk lamp", "name": "Halo", "date": "May 5"},
        ),
        (
            "We are Nordlys. We make skincare for sensitive skin.",
            {"trade": "skincare for sensitive skin", "name": "Nordlys"},
        ),
        ("My bakery is called Crumb. Make a brand kit for it.", {"trade": "bakery", "name": "Crumb"}),
        ("need a logo and brand for my dog walking business", {"trade": "dog walking business"}),
        (
            "launch lumen, a reading lamp for night readers",
            {"trade": "reading lamp", "name": "lumen", "audience": "night readers"},
        ),
        ("a brand kit for an accounting firm called northwind", {"trade": "accounting firm", "name": "northwind"}),
        ("Ein 15 s Produktvideo für unsere blauen Laufschuhe", {}),
        ('Mach ein Video über unsere neue Kaffeemaschine "Nero"', {"name": "Nero"}),
        ("Une vidéo de produit pour nos chaussures de course", {}),
        ("Vídeo de zapatillas rojas", {}),
        ("赤いランニングシューズの動画", {}),
        ("brand kit for Crumb", {"name": "Crumb"}),
        ("commercial for Acme", {"name": "Acme"}),
        (
            "Launch our new folding bike 'Tern' in Berlin, first 100 buyers get a free lock",
            {"trade": "folding bike", "name": "Tern", "offer": "first 100 buyers get a free lock"},
        ),
        (
            "our candles. Free shipping on all orders until Sunday. For Christmas.",
            {"trade": "candles", "offer": "Free shipping on all orders until Sunday"},
        ),
        (
            "Plan the launch of a meal kit for busy parents in October. Offer: two weeks for the price of one",
            {
                "trade": "meal kit",
                "audience": "busy parents",
                "date": "October",
                "offer": "two weeks for the price of one",
            },
        ),
        (
            'a campaign for "Bloom", our subscription for cut flowers, starting 1 April 2027',
            {"trade": "subscription for cut flowers", "name": "Bloom", "date": "1 April 2027"},
        ),
        (
            "Plan a launch for my podcast about chess, available next Friday",
            {"trade": "podcast about chess", "date": "next Friday"},
        ),
        (
            "Café Lune in Lyon, a coffee bar for students",
            {"trade": "coffee bar", "name": "Café Lune", "audience": "students"},
        ),
        ("we sell handmade soap to hotels", {"trade": "handmade soap", "audience": "hotels"}),
        (
            "launch campaign for Pulse - a heart rate ring for athletes - 15 May 2027, half price for the first 200",
            {
                "trade": "heart rate ring",
                "name": "Pulse",
                "audience": "athletes",
                "date": "15 May 2027",
                "offer": "half price for the first 200",
            },
        ),
        (
            "A toy shop. Name: Button Moon. Audience: parents of toddlers.",
            {"trade": "toy shop", "name": "Button Moon", "audience": "parents of toddlers"},
        ),
        (
            "Fernweh Travel is an agency for solo travellers",
            {"trade": "agency", "name": "Fernweh Travel", "audience": "solo travellers"},
        ),
        (
            "We're opening a climbing gym in Porto on 12 September 2027 for families and beginners",
            {"trade": "climbing gym", "audience": "families and beginners", "date": "12 September 2027"},
        ),
        (
            "Introducing Tidewater: a seaweed snack. Launch next Monday with 2 for 1",
            {"trade": "seaweed snack", "name": "Tidewater", "date": "next Monday", "offer": "2 for 1"},
        ),
        ("The Moss Garden, our plant nursery, needs a brand", {"trade": "plant nursery", "name": "The Moss Garden"}),
        (
            'Brand identity for "Oak & Ember" (a steakhouse in Austin, Texas)',
            {"trade": "steakhouse", "name": "Oak & Ember"},
        ),
        ("My name is Anna and I make ceramic bowls", {"trade": "ceramic bowls"}),
        (
            "Hello, I need a brand kit for my new business: dog grooming for nervous dogs",
            {"trade": "dog grooming", "audience": "nervous dogs"},
        ),
        (
            "I'm launching an online course on tax for freelancers on June 3rd, 2027 with 30% off for the first 50",
            {
                "trade": "online course",
                "audience": "freelancers",
                "date": "June 3rd, 2027",
                "offer": "30% off for the first 50",
            },
        ),
        ("launch it next week", {"date": "next week"}),
        ("20% off our winter boots until 31 January", {"trade": "winter boots", "offer": "20% off"}),
        ("A film for hikers about a light tent", {"trade": "light tent", "audience": "hikers"}),
        (
            "Launching Nimbus 2 (noise cancelling headphones) for commuters, 5 November 2027",
            {
                "trade": "noise cancelling headphones",
                "name": "Nimbus 2",
                "audience": "commuters",
                "date": "5 November 2027",
            },
        ),
        (
            "Barber shop in Leeds, name: Sharp & Sons, for men over 40",
            {"trade": "Barber shop", "name": "Sharp & Sons", "audience": "men over 40"},
        ),
        (
            "A launch campaign. The product is a foldable kayak called Otter. It is for paddlers. Launch: 2027-05-20.",
            {"trade": "foldable kayak", "name": "Otter", "date": "2027-05-20"},
        ),
        ("please make a campaign for people who hate cooking", {"audience": "people who hate cooking"}),
        (
            "launch our $89 oak desk lamp Halo to HR managers at small companies on LinkedIn only, no discounts",
            {"trade": "oak desk lamp", "name": "Halo", "audience": "HR managers at small companies"},
        ),
        (
            "Brand kit for Nettle, a skincare brand for men who hate perfume, tone: dry",
            {"trade": "skincare brand", "name": "Nettle", "audience": "men who hate perfume"},
        ),
        ("announce the merger of Acme and Globex", {"trade": "merger of Acme and Globex"}),
        ("opening a second bakery in Leeds on 3 May", {"trade": "second bakery", "date": "3 May"}),
        (
            "Black Friday sale at our bike shop Spoke, 30% off all helmets",
            {"trade": "bike shop", "name": "Spoke", "date": "Black Friday", "offer": "30% off all helmets"},
        ),
        ("a film for my $89 chair, max $1", {"trade": "chair"}),
        ("a kids bike that costs $199, for parents", {"trade": "kids bike", "audience": "parents"}),
        (
            "may 2027 launch of our solar charger for campers. Launch offer: free carabiner with every order.",
            {
                "trade": "solar charger",
                "audience": "campers",
                "date": "may 2027",
                "offer": "free carabiner with every order",
            },
        ),
        (
            "Show off the Aurora espresso machine in a 30 s film for home baristas",
            {"trade": "Aurora espresso machine", "audience": "home baristas"},
        ),
    ],
)
def test_a_task_is_read_or_nothing_is_made_of_it(task: str, expected: dict[str, str]) -> None:
    assert {name: value for name in READ if (value := READERS[name](task))} == expected


@pytest.mark.parametrize(
    ("task", "subject"),
    [
        ("plan and draft a 15 s product video for blue running shoes", "blue running shoes"),
        ("make a 30-second vertical product video of our new oat milk latte for busy parents", "oat milk latte"),
        ("brand kit for Lumen, a sleep app", "sleep app"),
        ("sneaker promo video, 15s", "sneaker"),
        ("Create a video for Instagram about our ceramic mugs", "ceramic mugs"),
        ("campaign launch for a smart water bottle called HydroPal, targeting beginners", "smart water bottle"),
        ("product film: red headphones, 9:16", "red headphones"),
        ("launch of the summer sandals collection for women over 40", "summer sandals collection"),
        ("promote our dog food", "dog food"),
        ("15 second video of a leather backpack with a hidden pocket", "leather backpack"),
        ("Please plan a product video. It is for our electric kettle.", "electric kettle"),
        ("a film about a pair of red boots", "red boots"),
        ("New flavour of our kombucha, mango, out 4 July", "kombucha"),
        ("Pottery studio", "Pottery studio"),
        ("red kettle", "red kettle"),
        ("a film about our cream for dry skin, in a minimal look", "cream for dry skin"),
        ("Video about Paris", "Paris"),
        ("a video for our 'Tern'", "Tern"),
        ("a scooter for sale, made for Bolt", "scooter"),
        ("a video for our Model 3", "Model 3"),
        ("a video for our model 3", "model 3"),
        ("Brand kit: 3M", None),
        ("a film of our tea for 20 guests", "tea"),
        ("a film of our tea for Kim", "tea"),
        ("video", None),
        ("one two three four five six seven eight, all words", None),
        ("brand kit for my business", None),
        ("", None),
    ],
)
def test_the_thing_is_read_in_its_own_words(task: str, subject: str | None) -> None:
    assert read_subject(task) == subject


def test_a_name_alone_is_no_kind_of_thing_and_in_another_language_no_subject() -> None:
    assert (read_subject("brand kit for Crumb"), read_trade("brand kit for Crumb")) == ("Crumb", None)
    assert read_subject('Ein Film über unsere neue Kaffeemaschine "Nero"') is None


@pytest.mark.parametrize(
    ("task", "audience"),
    [
        ("a campaign for socks aimed at runners", "runners"),
        ("a clip of a mug. Audience: tired students", "tired students"),
        ("a video of our latte for Instagram", None),
        ("a video of our latte for the summer", None),
        ("a video of our latte", None),
        ("a bouquet of roses for our customers", None),
        ("video", None),
    ],
)
def test_for_whom_it_is_is_read(task: str, audience: str | None) -> None:
    assert read_audience(task) == audience


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("a bottle called Hydro Pal", "Hydro Pal"),
        ("a bottle called 'hydro'", "hydro"),
        ("The product is a lamp. Its name is Halo.", "Halo"),
        ("an app, Brand name: Sleep & Co.", "Sleep & Co"),
        ("a film about The Lamp, our brand film", "The Lamp"),
        ("a brand kit for our bakery in Berlin", None),
        ("For Instagram, a film of a lamp", None),
        ("a brand kit", None),
    ],
)
def test_a_name_is_read(task: str, name: str | None) -> None:
    assert read_name(task) == name


def test_every_reader_is_silent_about_nothing() -> None:
    assert {name: read("") for name, read in READERS.items()} == dict.fromkeys(READERS)
