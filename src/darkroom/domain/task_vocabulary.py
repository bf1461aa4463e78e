"""Words by which a task is read: what stands around the thing, its name and its people; nothing here decides."""

import re

from darkroom.domain.patterns import compiled
from darkroom.domain.task_facts import PLATFORMS

MEDIA = (
    r"videos?|films?|clips?|movies?|ads?|adverts?|spots?|commercials?|reels?|teasers?|trailers?|campaigns?|kits?|"
    r"launch(?:es)?|images?|pictures?|posts?|storyboards?|scripts?|identity|identities|brands?|branding|brand kits?|"
    r"launch campaigns?|logos?|visuals?|texts?|copy"
)
KINDS = (
    r"product|promo|promotional|brand|launch|short|social|media|marketing|vertical|square|summer|winter|spring|autumn|"
    r"christmas|new|next|company|visual|video|image|full|quick"
)
"""What kind of video, campaign or kit it may be."""
SOCIAL = "|".join(PLATFORMS)
NO_THING = compiled(
    rf"^(?:(?:our|my|the|a|an|your)\s+)?(?:(?:{SOCIAL}|reels?|shorts|stories|social media|website|web|"
    rf"tv|us|me|you|it|them|this|that|free|now|today|tomorrow|example|sale|for|of|about|in|on|christmas|easter|"
    rf"halloween|sure|instance|\d[\w:.-]*)\b|(?:(?:{KINDS})\s+)*(?:{MEDIA})\b)",
    re.I,
)
"""What may follow a small word and is not what the work is about."""
ARTICLE = r"(?:our|my|the|a|an|your|this|these|those|some)"
ADS = (
    r"(?:about|promote|promotes|promoting|advertises?|advertising|show(?:s|ing)?(?:\s+off)?|featuring|introducing|"
    r"presenting|selling)"
)
_DO = (
    r"(?:make|making|sell|selling|run|running|offer|open|opening|start|starting|build|building|bake|brew|roast|design|"
    r"produce|own|have)"
)
LEADS = (
    rf"(?:{MEDIA})\s+(?:for|of|on|{ADS})",
    ADS,
    r"(?:launch|launching|relaunch|relaunching)(?:\s+of)?",
    r"of",
    rf"(?:business|company|product|start-?up|service|shop|store|brand)\s*(?::|is\b|are\b)(?:\s+{ARTICLE}\b)?",
    rf"(?:we|i)(?:['\u2019](?:re|m)|\s+are|\s+am)?\s+{_DO}",
    r"(?:we|i)(?:['\u2019](?:re|m)|\s+are|\s+am)(?=\s+an?\b)",
    r"(?:our|my)",
    r"for",
    rf"(?:{MEDIA})\s*:",
)
"""What stands before the thing, the surest first."""
STOP = (
    r"(?=\s*(?:[.,;:!?\n()\u2013\u2014]|\s-\s|$)|\s+(?:for|on|with|in|at|to|that|which|who|so|using|by|lasting|as|from|"
    r"under|within|aimed|targeting|targeted|called|named|is|are|has|have|made for|"
    r"and\s+(?:make|write|post|then|draft|plan|create|show|give|need|want|we|i)|please|next|this|tomorrow|today|before|after|costing|near|until|because|but|"
    r"when|where|while|into)\b)"
)
PHRASE = rf"\s+([^\n.,;:!?()]{{2,120}}?){STOP}"
ARTICLES = compiled(rf"^(?:(?:{ARTICLE}|brand[- ]new|new|upcoming|latest|pairs? of|small|little|local)\s+)+", re.I)
LENGTH = compiled(r"\b\d+(?:[.,]\d+)?\s*-?\s*(?:s|sec|secs|seconds?|min|mins|minutes?)\b|\b\d+\s*:\s*\d+\b", re.I)
FILLING = compiled(
    rf"\b(?:please|can|could|you|i|we|need|want|would|like|make|create|produce|plan|draft|write|design|build|generate|do|"
    rf"prepare|and|a|an|the|our|my|us|me|new|for|of|to|in|on|with|short|quick|product|promo|promotional|vertical|square|"
    rf"portrait|landscape|horizontal|full|complete|social|marketing|launch|{MEDIA}|{SOCIAL})\b",
    re.I,
)
VAGUE = compiled(
    r"\b(?:it|its|this|that|something|anything|everything|nice|cool|good|great|best|better|pretty|beautiful|awesome|"
    r"amazing|fun|stuff|things?|one|surprise|whatever|hello|hi|test|go|ahead|help|try|hurry|up|same|again|how|what|why|"
    r"when|who|which|is|are|be|was|let|have|has|will|should|must|they|he|she|them|him|her|not|no|yes|ok|okay|thanks?|"
    r"another|different|more|less|ending|end|today|now)\b",
    re.I,
)
"""Words in whose company a few words without a verb are no thing."""
EMPTY = compiled(r"\b(?:name|business|company|products?|services?|start-?up|project|client|shop|store)\b", re.I)
"""Words that alone say of no thing what it is."""
WORD = r"(?<!\w)[A-Z\u00c0-\u00de0-9](?:[\w&'\u2019.-]{0,40}\w)?(?!\w)"
PROPER = rf"(?:{WORD})(?:\s+(?:(?:&|\+|and|of|the|de|la|du|von|van)\s+){{0,2}}(?:{WORD})){{0,3}}"
WHERE = r"(?:\s+(?:in|from|near|at)\s+[^\n.,;:!?()\u2013\u2014]{2,40}?)?"
CALLED = r"\b(?:called|named|(?<!my )(?<!My )(?:brand )?name\s*(?:is|:)|(?:is|are)\s+called|under the name)\s+"
_APPOSED = r"(?=\s*(?:,|\(|\s[-\u2013\u2014]|:)\s*(?i:an?|the|our|my)\s+\w)"
_BEFORE = r"(?i:\b(?:for|launch|launching|about|of|identity|kit|film|video)\s+)"
NAMES = tuple(
    compiled(pattern)
    for pattern in (
        rf"(?i:{CALLED})(?P<name>{PROPER})",
        rf"(?i:{CALLED})(?P<name>[a-z][\w&'-]*(?:\s+(?:&\s+)?[a-z][\w&'-]*){{0,3}}?)(?i:{STOP})",
        rf"(?:^|[.!?\n]\s*)(?P<name>{PROPER})\s+(?i:is|are)\s+(?i:an?|the|our|my)\b",
        rf"(?i:\bwe are|\bwe're|\bi am)\s+(?P<name>{PROPER})(?=\s*[,.;!\u2013\u2014]|\s+-\s)",
        rf"(?<!\bin )(?<!\bfrom )(?<!\bnear )(?<!\bat )(?P<name>{PROPER}){WHERE}{_APPOSED}",
        rf"(?P<name>{PROPER})(?=\s*\((?!(?i:price|for|in|from|with|on|by|the)\b)[a-z][^()\d]+\))",
        rf"{_BEFORE}(?P<name>(?!{ARTICLE}\b)[a-z][\w&'-]*)(?=,\s*(?:an?|our|my)\s+\w)",
    )
)
TITLE = compiled(
    r"(?:A|An|Our|My|We|I|It|This|Launch|Launching|Make|Create|Plan|Please|Brand|Video|Film|Draft|Write|Introducing|Meet|"
    r"Promote|Promoting|Presenting|Announcing|Show|New|For|About)$"
)
MARK = "\ue000"
"""What stands for the name while the rest is read."""
AUDIENCE = compiled(
    rf"\b(?:aimed at|targeting|targeted at|made for|(?:target )?audience\s*(?:is\b|are\b|:)|target group\s*(?:is\b|:))"
    rf"\s*([^\n.,;:!?()]{{2,120}}?){STOP}",
    re.I,
)
PEOPLE = compiled(
    r"\b(?!(?:flow|slipp|pap|comput|print|numb|dinn|post|burg|cracke?|jump|sweat|speak|cov|memb|ord|off|plant|contain|"
    r"scoot|pati|ev|compon|monum|mom|parl|restaur|appartm|docum|instrum|cont|cent|garm|treatm|ingredi|pre\w+)"
    r"(?:ers|ents|ants|ors)\b)(?:people|women|men|children|kids|teens|folk|everyone|everybody|anyone|those|public|"
    r"gen z|millennials|"
    r"\w*(?:parents|families|ers|ists|"  # codespell:ignore ists
    r"istas|ants|ents|ors|lovers|fans|owners|teams|companies|businesses|couples|adults|"
    r"beginners|seniors|students|nomads|mums|moms|dads|girls|boys|friends|cooks|athletes|nerds|geeks|athletes|chefs|"
    r"nurses|brides|startups|schools|hotels|restaurants|professionals|freelancers|vegans|creatives|ladies|guys|"
    r"citizens|pros|addicts|enthusiasts|cyclists|households|commuters|cats|dogs|pets|agencies|clinics|shops))\b",
    re.I,
)
CLOSER = compiled(
    r"\s+(?:who\b[^.,;:!?()\n]{2,60}?(?=\s*(?:[.,;:!?()\n]|$)|\s+(?:launch|on|by|starting)\b)|"
    r"(?:at|in|with|over|under|between)\s+(?:(?:small|large|big|mid-sized|growing|young|sensitive|dry|busy|little|their|"
    r"own|a|the|no|\d+)\s+)*(?:companies|firms|businesses|start-?ups|offices|agencies|teams|schools|towns|cities|families|"
    r"kids|children|dogs|cats|skin|hair|gardens?|budgets?|time|\d+)\b)",
    re.I,
)
"""What says more closely which people."""
NO_PEOPLE = compiled(
    r"^(?:\w+\s+)*(?:launch|christmas|easter|summer|winter|spring|autumn|halloween|sale|use|day|week|month|year|price)\b",
    re.I,
)
