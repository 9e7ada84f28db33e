"""Prefixes and endings of medical words, which must be heard right: "hypo-" is not "hyper-", "-itis" not "-osis"."""

_BEGINNINGS = """
hyper hypo intra inter infra extra endo exo ecto epi peri para pre post macro micro mono poly pan anti dys an neo
pseudo sub supra retro trans non multi iso aniso normo leuko lympho erythro osteo chondro adeno angio lipo myo myelo
neuro nephro hepato gastro entero fibro glio kerato melano
"""
_ENDINGS = """
itis osis oses oma omas omata emia aemia uria plasia plastic plasm penia philia philic phil phils cyte cytes cytic
cytosis cytoid blast blasts blastic blastoma genesis genic lysis lytic ectomy otomy ostomy oscopy pathy pathic trophy
trophic megaly ectasia rrhea rrhage oid ous sis tic ic al ar ary ium ia ae a us um i ion tion ing ed ly
"""
PREFIXES = _BEGINNINGS.split()
_SUFFIXES = _ENDINGS.split()
INFLECTIONS = ("s", "es", "ed", "ing", "ly", "ally", "al", "like", "ness", "ization", "ized")


def same_stem(a: str, b: str) -> bool:
    """Whether two words are one in two numbers or forms."""
    short, long = sorted((a, b), key=len)
    return long.startswith(short) and long[len(short) :] in INFLECTIONS


def stems(heard: str, term: str) -> tuple[str, str]:
    """Two words without the suffix that both have."""
    suffix = _ending(term)
    if not suffix or not heard.endswith(suffix):
        return heard, term
    return heard[: -len(suffix)], term[: -len(suffix)]


def other_ending(heard: str, term: str) -> bool:
    """Whether what was heard ends as another word of the same stem would: "-itis" for "-osis"."""
    return _ending(heard) not in ("", _ending(term))


def other_beginning(heard: str, term: str) -> bool:
    """Whether two words begin with different prefixes: "hypo-" for "hyper-"."""
    mine, other = _beginning(heard), _beginning(term)
    return mine != other and bool(mine) and bool(other)


def _ending(word: str) -> str:
    return max((suffix for suffix in _SUFFIXES if word.endswith(suffix)), key=len, default="")


def _beginning(word: str) -> str:
    return max((prefix for prefix in PREFIXES if word.startswith(prefix)), key=len, default="")
