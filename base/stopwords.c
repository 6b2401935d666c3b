/* SPDX-License-Identifier: MIT */
#include "base/stopwords.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off */

/* The languages, each with its list below. Lists are folded and sorted by
 * bytes, as bsearch() needs them. */
#define LANGUAGES(X)                                                         \
    X(english) X(german) X(french) X(spanish) X(italian) X(portuguese)       \
    X(dutch) X(swedish) X(danish) X(norwegian) X(polish) X(russian)          \
    X(chinese) X(japanese) X(thai) X(arabic)

static const char *const english[] = {
    "a", "about", "above", "after", "again", "against", "all", "also",
    "although", "am", "an", "and", "another", "any", "anyone", "anything",
    "are", "aren't", "around", "as", "at", "be", "because", "become", "been",
    "before", "being", "below", "between", "both", "but", "by", "can", "can't",
    "cannot", "could", "couldn't", "did", "didn't", "do", "does", "doesn't",
    "doing", "don't", "done", "down", "during", "e.g", "each", "either",
    "else", "etc", "even", "ever", "every", "few", "for", "from", "further",
    "get", "gets", "getting", "give", "given", "goes", "got", "had", "hadn't",
    "has", "hasn't", "have", "haven't", "having", "he", "her", "here", "hers",
    "herself", "him", "himself", "his", "how", "however", "i", "i'd", "i'll",
    "i'm", "i've", "i.e", "if", "in", "instead", "into", "is", "isn't", "it",
    "it's", "its", "itself", "just", "let", "let's", "like", "made", "make",
    "makes", "many", "may", "maybe", "me", "might", "mine", "more", "most",
    "much", "must", "my", "myself", "neither", "never", "no", "none", "nor",
    "not", "nothing", "now", "of", "off", "often", "on", "once", "one", "only",
    "onto", "or", "other", "others", "ought", "our", "ours", "ourselves",
    "out", "over", "own", "per", "perhaps", "please", "quite", "rather",
    "really", "said", "same", "say", "says", "shall", "shan't", "she",
    "should", "shouldn't", "since", "so", "some", "something", "still", "such",
    "than", "that", "that's", "the", "their", "theirs", "them", "themselves",
    "then", "there", "therefore", "these", "they", "this", "those", "though",
    "through", "thus", "to", "together", "too", "toward", "towards", "under",
    "unless", "until", "up", "upon", "us", "use", "used", "uses", "using",
    "very", "via", "was", "wasn't", "we", "were", "weren't", "what",
    "whatever", "when", "whenever", "where", "whereas", "whether", "which",
    "while", "who", "whoever", "whom", "whose", "why", "will", "with",
    "within", "without", "won't", "would", "wouldn't", "yet", "you", "your",
    "yours", "yourself", "yourselves",
};

static const char *const german[] = {
    "aber", "alle", "allem", "allen", "aller", "alles", "als", "also", "am",
    "an", "ander", "andere", "anderem", "anderen", "anderer", "anderes",
    "auch", "auf", "aus", "bei", "beim", "bereits", "bevor", "bin", "bis",
    "bist", "bzw", "da", "dabei", "dadurch", "dafür", "dagegen", "daher",
    "damit", "danach", "dann", "daran", "darauf", "daraus", "darf", "darin",
    "darüber", "das", "dass", "davon", "dazu", "dein", "deine", "deinem",
    "deinen", "deiner", "dem", "den", "denen", "denn", "dennoch", "der",
    "deren", "des", "deshalb", "dessen", "die", "dies", "diese", "diesem",
    "diesen", "dieser", "dieses", "doch", "dort", "du", "durch", "dürfen",
    "ein", "eine", "einem", "einen", "einer", "eines", "einige", "einigen",
    "einiger", "einmal", "er", "es", "etwa", "etwas", "euch", "euer", "eure",
    "eurem", "euren", "eurer", "falls", "für", "gegen", "gewesen", "gibt",
    "hab", "habe", "haben", "hat", "hatte", "hatten", "hier", "hin", "hinter",
    "hätte", "hätten", "hättest", "ich", "ihm", "ihn", "ihnen", "ihr", "ihre",
    "ihrem", "ihren", "ihrer", "ihres", "im", "immer", "in", "indem", "ins",
    "ist", "ja", "jede", "jedem", "jeden", "jeder", "jedes", "jedoch", "jene",
    "jenem", "jenen", "jener", "jenes", "jetzt", "kann", "kannst", "kein",
    "keine", "keinem", "keinen", "keiner", "können", "könnte", "könnten",
    "machen", "man", "manche", "manchen", "mancher", "mehr", "mein", "meine",
    "meinem", "meinen", "meiner", "mich", "mir", "mit", "muss", "musste",
    "müssen", "nach", "nachdem", "nicht", "nichts", "noch", "nun", "nur", "ob",
    "obwohl", "oder", "ohne", "schon", "sehr", "sei", "seid", "sein", "seine",
    "seinem", "seinen", "seiner", "seines", "seit", "selbst", "sich", "sie",
    "sind", "so", "sobald", "sogar", "solche", "solchem", "solchen", "solcher",
    "soll", "sollen", "sollte", "sollten", "sondern", "sonst", "sowie", "um",
    "und", "uns", "unser", "unsere", "unserem", "unseren", "unserer", "unter",
    "viel", "viele", "vielen", "vom", "von", "vor", "war", "waren", "warum",
    "was", "weg", "weil", "weiter", "welche", "welchem", "welchen", "welcher",
    "welches", "wenn", "wer", "werde", "werden", "weshalb", "wie", "wieder",
    "will", "wir", "wird", "wirst", "wo", "wollen", "worden", "wurde",
    "wurden", "während", "würde", "würden", "zu", "zum", "zur", "zwar",
    "zwischen", "über",
};

static const char *const french[] = {
    "afin", "ai", "ainsi", "alors", "après", "as", "assez", "au", "aucun",
    "aucune", "aujourd'hui", "auquel", "aussi", "autre", "autres", "aux",
    "auxquels", "avaient", "avait", "avant", "avec", "avez", "avoir", "avons",
    "ayant", "beaucoup", "bien", "car", "ce", "ceci", "cela", "celle",
    "celles", "celui", "cependant", "certains", "ces", "cet", "cette", "ceux",
    "chaque", "chez", "ci", "comme", "comment", "d'abord", "dans", "de",
    "depuis", "des", "deux", "donc", "dont", "du", "dès", "déjà", "elle",
    "elles", "en", "encore", "entre", "es", "est", "et", "eu", "eux", "faire",
    "fait", "faut", "fois", "font", "furent", "fut", "hors", "il", "ils", "je",
    "jusqu", "jusque", "la", "laquelle", "le", "lequel", "les", "lesquelles",
    "lesquels", "leur", "leurs", "lors", "lorsqu", "lorsque", "lui", "là",
    "ma", "mais", "me", "mes", "moi", "moins", "mon", "même", "mêmes", "ne",
    "ni", "non", "nos", "notre", "nous", "on", "ont", "or", "ou", "où", "par",
    "parce", "parfois", "pas", "pendant", "peu", "peut", "peuvent", "plus",
    "plusieurs", "pour", "pourquoi", "pourrait", "presque", "puis", "puisqu",
    "puisque", "qu", "quand", "que", "quel", "quelle", "quelles", "quelqu",
    "quelque", "quelques", "quels", "qui", "quoi", "sa", "sans", "se", "selon",
    "sera", "serait", "seront", "ses", "si", "soi", "soient", "soit", "sommes",
    "son", "sont", "sous", "suis", "sur", "ta", "tandis", "te", "tel", "telle",
    "telles", "tels", "tes", "toi", "ton", "toujours", "tous", "tout", "toute",
    "toutefois", "toutes", "trop", "très", "tu", "un", "une", "va", "vers",
    "voici", "voilà", "vont", "vos", "votre", "vous", "y", "à", "ça",
    "étaient", "était", "étant", "étions", "été", "êtes", "être",
};

static const char *const spanish[] = {
    "a", "al", "algo", "alguna", "algunas", "alguno", "algunos", "ante",
    "antes", "aquel", "aquella", "aquellas", "aquellos", "aquí", "así",
    "aunque", "aún", "bajo", "bien", "cada", "casi", "como", "con", "contra",
    "cual", "cuales", "cualquier", "cuando", "cuanto", "cuál", "cuándo",
    "cómo", "de", "debe", "deben", "del", "desde", "después", "donde", "dos",
    "durante", "dónde", "e", "el", "ella", "ellas", "ello", "ellos", "en",
    "entonces", "entre", "era", "eran", "eres", "es", "esa", "esas", "ese",
    "eso", "esos", "esta", "estaba", "estaban", "estamos", "estar", "estas",
    "este", "esto", "estos", "estoy", "está", "están", "fue", "fueron", "fui",
    "ha", "haber", "había", "habían", "hace", "hacen", "hacer", "hacia", "han",
    "has", "hasta", "hay", "he", "hemos", "la", "las", "le", "les", "lo",
    "los", "luego", "me", "mediante", "mi", "mientras", "mis", "misma",
    "mismo", "mismos", "mucha", "muchas", "mucho", "muchos", "muy", "más",
    "mí", "nada", "ni", "no", "nos", "nosotros", "nuestra", "nuestras",
    "nuestro", "nuestros", "o", "os", "otra", "otras", "otro", "otros", "para",
    "pero", "poco", "por", "porque", "puede", "pueden", "pues", "que", "quien",
    "quienes", "quién", "qué", "se", "sea", "sean", "según", "ser", "será",
    "si", "sido", "siempre", "sin", "sino", "sobre", "solo", "somos", "son",
    "soy", "su", "sus", "sí", "sólo", "también", "tan", "tanto", "te", "tener",
    "tengo", "tenía", "tenían", "ti", "tiene", "tienen", "toda", "todas",
    "todavía", "todo", "todos", "tras", "tu", "tus", "tú", "un", "una", "unas",
    "uno", "unos", "usted", "ustedes", "va", "van", "vez", "y", "ya", "yo",
    "él",
};

static const char *const italian[] = {
    "a", "abbia", "abbiamo", "ad", "ai", "al", "alcuna", "alcune", "alcuni",
    "alcuno", "all", "alla", "alle", "allo", "allora", "altra", "altre",
    "altri", "altro", "anche", "ancora", "avere", "avete", "aveva", "avevano",
    "c", "che", "chi", "ci", "ciascuno", "cioè", "ciò", "coi", "col", "come",
    "con", "cosa", "così", "cui", "da", "dagl", "dagli", "dai", "dal", "dall",
    "dalla", "dalle", "dallo", "degl", "degli", "dei", "del", "dell", "della",
    "delle", "dello", "dentro", "di", "dopo", "dove", "dunque", "durante", "e",
    "ebbe", "ed", "era", "erano", "essere", "essi", "fa", "fare", "fatto",
    "fino", "fra", "fu", "furono", "già", "gli", "ha", "hai", "hanno", "ho",
    "i", "il", "in", "infatti", "invece", "io", "l", "la", "le", "lei", "li",
    "lo", "loro", "lui", "là", "ma", "meno", "mentre", "mi", "mia", "mie",
    "miei", "mio", "molta", "molte", "molti", "molto", "ne", "negl", "negli",
    "nei", "nel", "nell", "nella", "nelle", "nello", "nessun", "nessuna",
    "nessuno", "noi", "non", "nostra", "nostre", "nostri", "nostro", "né", "o",
    "od", "ogni", "oppure", "per", "perché", "perciò", "però", "più", "poco",
    "poi", "possono", "prima", "proprio", "può", "qual", "qualche", "quale",
    "quali", "quando", "quanto", "quasi", "quella", "quelle", "quelli",
    "quello", "quest", "questa", "queste", "questi", "questo", "qui", "quindi",
    "saranno", "sarà", "se", "sei", "sempre", "senza", "si", "sia", "siamo",
    "siano", "siete", "sono", "sopra", "sotto", "sta", "stata", "state",
    "stati", "stato", "stesso", "su", "sua", "sue", "sugl", "sugli", "sui",
    "sul", "sull", "sulla", "sulle", "sullo", "suo", "suoi", "sé", "tale",
    "tali", "tanto", "te", "ti", "tra", "troppo", "tu", "tua", "tue", "tuo",
    "tuoi", "tutta", "tuttavia", "tutte", "tutti", "tutto", "un", "una", "uno",
    "verso", "vi", "voi", "vostra", "vostri", "vostro", "è",
};

static const char *const portuguese[] = {
    "a", "ainda", "algo", "algum", "alguma", "algumas", "alguns", "alguém",
    "ao", "aos", "apenas", "após", "aquela", "aquelas", "aquele", "aqueles",
    "aquilo", "as", "assim", "até", "bem", "cada", "com", "como", "contra",
    "contudo", "cujo", "da", "das", "de", "dela", "delas", "dele", "deles",
    "depois", "desde", "dessa", "desse", "desta", "deste", "do", "dois", "dos",
    "durante", "e", "ela", "elas", "ele", "eles", "em", "enquanto", "entre",
    "então", "era", "eram", "essa", "essas", "esse", "esses", "esta", "estar",
    "estas", "estava", "estavam", "este", "estes", "está", "estão", "eu",
    "faz", "fazer", "foi", "fora", "foram", "há", "isso", "isto", "já", "la",
    "lhe", "lhes", "lo", "logo", "lá", "mais", "mas", "me", "mediante", "meio",
    "menos", "mesma", "mesmo", "meu", "meus", "minha", "minhas", "muita",
    "muitas", "muito", "muitos", "na", "nas", "nem", "nenhum", "nenhuma",
    "nessa", "nesse", "nesta", "neste", "no", "nos", "nossa", "nossas",
    "nosso", "nossos", "num", "numa", "nunca", "não", "nós", "o", "onde", "os",
    "ou", "outra", "outras", "outro", "outros", "para", "pela", "pelas",
    "pelo", "pelos", "per", "perante", "pode", "podem", "pois", "por",
    "porque", "portanto", "porém", "pouco", "quais", "qual", "qualquer",
    "quando", "quanto", "quase", "que", "quem", "se", "seja", "sejam", "sem",
    "sempre", "sendo", "ser", "será", "serão", "seu", "seus", "si", "sido",
    "sob", "sobre", "sua", "suas", "também", "tanto", "te", "tem", "tendo",
    "ter", "teu", "teus", "ti", "tinha", "tinham", "toda", "todas", "todavia",
    "todo", "todos", "tu", "tua", "tuas", "tudo", "tão", "têm", "um", "uma",
    "umas", "uns", "vai", "você", "vocês", "vos", "vão", "vós", "à", "às", "é",
};

static const char *const dutch[] = {
    "aan", "al", "alle", "alleen", "alles", "als", "altijd", "andere",
    "anders", "ben", "bent", "bij", "binnen", "boven", "daar", "daarna",
    "daarom", "dan", "dat", "de", "deze", "die", "dit", "doch", "doen", "doet",
    "door", "dus", "echter", "een", "eens", "elk", "elke", "en", "enige", "er",
    "erg", "even", "ge", "geen", "geweest", "haar", "had", "hadden", "heb",
    "hebben", "hebt", "heeft", "heel", "hem", "hen", "het", "hier", "hij",
    "hoe", "hoewel", "hun", "ieder", "iedere", "iemand", "iets", "ik", "in",
    "indien", "is", "ja", "je", "jij", "jou", "jouw", "jullie", "kan", "kon",
    "konden", "kunnen", "kunt", "maar", "mag", "me", "meer", "men", "met",
    "mij", "mijn", "misschien", "moest", "moesten", "moet", "moeten", "mogen",
    "na", "naar", "niemand", "niet", "niets", "nog", "nooit", "nu", "of", "om",
    "omdat", "onder", "ons", "onze", "ook", "op", "over", "reeds", "sinds",
    "sommige", "soms", "te", "tegen", "ten", "ter", "terwijl", "toch", "toen",
    "tot", "tussen", "uit", "uw", "vaak", "van", "vanaf", "vanuit", "veel",
    "verder", "via", "volgens", "voor", "vooral", "voordat", "waar", "waarom",
    "wanneer", "want", "waren", "was", "wat", "we", "weer", "wel", "welk",
    "welke", "werd", "werden", "wie", "wij", "wil", "worden", "wordt", "zal",
    "ze", "zeer", "zelf", "zich", "zij", "zijn", "zo", "zoals", "zodat",
    "zonder", "zou", "zouden", "zullen",
};

static const char *const swedish[] = {
    "aldrig", "alla", "allt", "att", "av", "bara", "bland", "blev", "bli",
    "blir", "blivit", "både", "dem", "den", "denna", "deras", "dess", "dessa",
    "det", "detta", "dig", "din", "dina", "dit", "ditt", "du", "där", "därför",
    "då", "efter", "eftersom", "eller", "en", "er", "era", "ert", "ett",
    "flera", "från", "får", "för", "före", "genom", "gör", "göra", "ha",
    "hade", "han", "hans", "har", "henne", "hennes", "hit", "hon", "honom",
    "hur", "här", "i", "icke", "in", "inga", "ingen", "inget", "innan", "inom",
    "inte", "ja", "jag", "ju", "kan", "kanske", "kommer", "kunde", "kunna",
    "man", "med", "medan", "mellan", "men", "mer", "mest", "mig", "min",
    "mina", "mitt", "mot", "mycket", "många", "måste", "ni", "nu", "när",
    "någon", "något", "några", "och", "också", "om", "oss", "på", "redan",
    "samma", "samt", "sedan", "ser", "sig", "sin", "sina", "sitt", "själv",
    "ska", "skall", "skulle", "som", "så", "sådan", "sådana", "sådant", "till",
    "trots", "tycker", "under", "upp", "ut", "utan", "vad", "var", "vara",
    "varför", "varit", "varje", "vart", "vem", "vi", "via", "vid", "vilka",
    "vilken", "vilket", "vill", "vår", "våra", "vårt", "än", "ännu", "är",
    "åt", "över",
};

static const char *const danish[] = {
    "ad", "af", "aldrig", "alle", "allerede", "alligevel", "alt", "altid",
    "anden", "andet", "andre", "at", "blandt", "blev", "blevet", "blive",
    "bliver", "både", "da", "de", "dem", "den", "denne", "der", "deres",
    "derfor", "det", "dette", "dig", "din", "dine", "disse", "dit", "dog",
    "du", "efter", "eftersom", "eller", "en", "end", "endnu", "er", "et",
    "fik", "flere", "for", "fordi", "fra", "få", "får", "før", "først",
    "gennem", "gør", "gøre", "ham", "han", "hans", "har", "havde", "have",
    "hendes", "her", "hos", "hun", "hvad", "hver", "hvilken", "hvilket",
    "hvis", "hvor", "hvordan", "hvorfor", "hvornår", "i", "ikke", "ind",
    "ingen", "intet", "jeg", "jer", "jeres", "jo", "kan", "kom", "kommer",
    "kun", "kunne", "man", "mange", "med", "meget", "mellem", "men", "mens",
    "mere", "mest", "mig", "min", "mindre", "mine", "mit", "mod", "må",
    "måske", "ned", "nej", "nogen", "noget", "nogle", "nok", "nu", "når", "og",
    "også", "om", "omkring", "op", "os", "over", "på", "samme", "samt", "selv",
    "ser", "ses", "sig", "sin", "sine", "sit", "skal", "skulle", "som", "så",
    "sådan", "således", "til", "ud", "uden", "under", "var", "ved", "vi",
    "vil", "ville", "vor", "vore", "vores", "være", "været",
};

static const char *const norwegian[] = {
    "alle", "allerede", "alltid", "alt", "andre", "annen", "annet", "at", "av",
    "bare", "begge", "blant", "ble", "blei", "bli", "blir", "blitt", "både",
    "da", "de", "deg", "dei", "dem", "den", "denne", "der", "dere", "deres",
    "derfor", "det", "dette", "din", "dine", "disse", "ditt", "du", "eg",
    "ein", "eit", "eitt", "eller", "en", "enn", "er", "et", "ett", "etter",
    "fikk", "flere", "for", "fordi", "fra", "få", "får", "før", "gjennom",
    "gjør", "gjøre", "ha", "hadde", "ham", "han", "hans", "har", "hennar",
    "henne", "hennes", "her", "hos", "hun", "hva", "hvem", "hver", "hvilke",
    "hvilken", "hvilket", "hvis", "hvor", "hvordan", "hvorfor", "i", "ikke",
    "ikkje", "ingen", "ingenting", "inn", "innen", "ja", "jeg", "kan",
    "kanskje", "kom", "kommer", "korleis", "kun", "kunne", "kva", "kvar",
    "mange", "med", "medan", "meg", "meget", "mellom", "men", "mens", "mer",
    "mest", "min", "mindre", "mine", "mitt", "mot", "mye", "må", "måtte",
    "ned", "nei", "noe", "noen", "nok", "nå", "når", "og", "også", "om", "opp",
    "oss", "over", "på", "samme", "samt", "seg", "selv", "si", "sia", "sidan",
    "sin", "sine", "sitt", "sjøl", "skal", "skulle", "slik", "slike", "som",
    "så", "sånn", "til", "um", "under", "ut", "uten", "vart", "varte", "ved",
    "vere", "verte", "vi", "vil", "ville", "vore", "vors", "vort", "vår",
    "våre", "vårt", "være", "vært", "å",
};

static const char *const polish[] = {
    "a", "aby", "albo", "ale", "ani", "az", "aż", "bardzo", "bez", "bo",
    "bowiem", "by", "być", "był", "była", "było", "były", "będzie", "będą",
    "choć", "ci", "ciebie", "co", "coś", "czy", "czyli", "dla", "dlaczego",
    "dlatego", "do", "dziś", "gdy", "gdyby", "gdzie", "go", "i", "ich", "ile",
    "im", "inne", "inny", "innych", "iż", "ja", "jak", "jaka", "jakby", "jaki",
    "jakie", "jako", "je", "jeden", "jedna", "jednak", "jedno", "jego", "jej",
    "jemu", "jest", "jestem", "jeszcze", "jeśli", "jeżeli", "już", "ją",
    "kiedy", "kto", "która", "które", "którego", "której", "który", "których",
    "którym", "którzy", "lecz", "lub", "ma", "mają", "mam", "mi", "mimo",
    "między", "mnie", "mną", "mogą", "moja", "moje", "może", "można", "mu",
    "my", "mój", "na", "nad", "nam", "nami", "nas", "nasz", "nasza", "nasze",
    "natomiast", "nawet", "nic", "nich", "nie", "niech", "niego", "niej",
    "nim", "nimi", "nią", "niż", "no", "o", "od", "ok", "on", "ona", "one",
    "oni", "ono", "oraz", "pan", "po", "pod", "podczas", "ponieważ", "poza",
    "przed", "przede", "przez", "przy", "również", "sam", "sama", "się",
    "skąd", "swoich", "swoje", "swój", "są", "ta", "tak", "taka", "taki",
    "takie", "także", "tam", "te", "tego", "tej", "temu", "ten", "teraz",
    "też", "to", "tobie", "tu", "tutaj", "twoja", "twoje", "twój", "ty",
    "tych", "tylko", "tym", "u", "w", "wam", "was", "wasz", "we", "według",
    "wie", "więc", "wszystkich", "wszystkie", "wszystko", "wtedy", "wy", "z",
    "za", "zawsze", "ze", "zł", "żaden", "że", "żeby",
};

static const char *const russian[] = {
    "а", "без", "более", "больше", "будет", "будто", "будут", "бы", "был",
    "была", "были", "было", "быть", "в", "вам", "вас", "ваш", "ваша", "вдруг",
    "ведь", "во", "вот", "впрочем", "все", "всегда", "всего", "всей", "всем",
    "всех", "всю", "всё", "вы", "где", "да", "даже", "для", "до", "его", "ее",
    "ей", "ему", "если", "есть", "еще", "ещё", "её", "ж", "же", "за", "здесь",
    "и", "из", "или", "им", "ими", "иногда", "их", "к", "каждый", "как",
    "какая", "какие", "какой", "когда", "конечно", "которая", "которого",
    "которой", "которые", "который", "которых", "кто", "куда", "ли", "либо",
    "лишь", "между", "меня", "мне", "много", "может", "можно", "мой", "моя",
    "мы", "на", "над", "надо", "наконец", "нас", "наш", "наша", "не", "него",
    "нее", "ней", "нельзя", "несколько", "нет", "неужели", "неё", "ни",
    "нибудь", "никогда", "ним", "них", "ничего", "но", "ну", "о", "об", "один",
    "одна", "однако", "он", "она", "они", "оно", "опять", "от", "очень",
    "перед", "по", "под", "пока", "после", "потом", "потому", "почти", "при",
    "про", "раз", "разве", "с", "сам", "сама", "своего", "своей", "свои",
    "своих", "свой", "своя", "себе", "себя", "сейчас", "со", "совсем", "так",
    "такая", "также", "такие", "такой", "там", "те", "тебя", "тем", "теперь",
    "то", "тогда", "того", "тоже", "только", "том", "тот", "три", "тут", "ты",
    "у", "уж", "уже", "хорошо", "хоть", "хотя", "чего", "чем", "через", "что",
    "чтоб", "чтобы", "чуть", "эта", "эти", "этим", "этих", "это", "этого",
    "этой", "этом", "этому", "этот", "эту", "я",
};

static const char *const chinese[] = {
    "一", "一个", "一些", "一样", "一种", "上", "下", "不", "不是", "与",
    "与其", "且", "两", "並", "中", "为", "为了", "为什么", "之", "之前",
    "之后", "之间", "也", "也是", "了", "于", "人们", "什么", "什麼", "从",
    "他", "他们", "他們", "以", "以及", "们", "会", "但", "但是", "你", "你们",
    "你們", "使", "來", "依", "便", "個", "們", "做", "其", "其中", "其他",
    "再", "则", "到", "又", "及", "可", "可以", "可能", "各", "同", "后", "向",
    "吗", "吧", "呀", "呢", "和", "啊", "嗎", "因", "因为", "因為", "在", "地",
    "她", "她们", "她們", "好", "如", "如何", "如果", "它", "它们", "它們",
    "对", "对于", "将", "將", "對", "就", "就是", "已", "已经", "并", "并不",
    "并且", "当", "很", "後", "得", "從", "怎么", "我", "我们", "我們", "或",
    "或者", "所", "所以", "所有", "才", "把", "於", "於是", "时", "是", "是否",
    "更", "最", "會", "有", "有的", "来", "某", "此", "每", "比", "沒", "沒有",
    "没", "没有", "為", "為什麼", "然后", "然而", "由", "由于", "的", "的话",
    "着", "等", "給", "给", "而", "而且", "能", "能够", "自己", "至", "與",
    "著", "虽然", "被", "要", "說", "誰", "讓", "让", "该", "说", "请", "谁",
    "起", "跟", "过", "还", "还是", "这", "这个", "这么", "这些", "这样",
    "这种", "这里", "进行", "這", "這些", "這個", "通过", "過", "還", "那",
    "那个", "那么", "那些", "那样", "都", "里", "雖然", "需要", "非常", "须",
};

static const char *const japanese[] = {
    "あ", "あそこ", "あっ", "あの", "あり", "ある", "あるいは", "あれ", "い",
    "いい", "いう", "いた", "いつ", "いて", "いる", "う", "うち", "え", "お",
    "および", "おり", "おる", "か", "かつ", "から", "が", "き", "く", "くれる",
    "け", "けど", "けれど", "こ", "ここ", "こと", "この", "これ", "これら",
    "さ", "さらに", "さん", "し", "しか", "しかし", "した", "して", "しない",
    "しまう", "しよう", "す", "すべて", "する", "すると", "ず", "せ", "せる",
    "そ", "そう", "そこ", "そして", "その", "そのため", "それ", "それぞれ",
    "それら", "た", "ただし", "だ", "だけ", "だった", "だろ", "だろう",
    "ちゃん", "つ", "つい", "つまり", "て", "で", "でき", "できます", "できる",
    "でしょう", "です", "では", "でも", "と", "という", "といった", "とき",
    "ところ", "として", "とも", "ともに", "どう", "どこ", "どの", "どれ", "な",
    "ない", "なお", "なか", "ながら", "なく", "なけれ", "なし", "なっ", "など",
    "なら", "なり", "なる", "なん", "に", "において", "について", "にて",
    "によって", "により", "による", "ぬ", "ね", "の", "ので", "のに", "は",
    "はず", "ば", "へ", "べき", "ほか", "ほど", "ま", "まし", "ました",
    "ましょう", "ます", "ません", "また", "または", "まで", "まま", "み", "も",
    "もう", "もし", "もの", "や", "やっ", "よ", "よう", "ような", "ように",
    "より", "よる", "よれ", "られ", "られる", "り", "る", "れ", "れる", "わ",
    "わたし", "を", "ん", "上", "下", "中", "事", "人々", "何", "僕", "其",
    "内", "前", "又", "又は", "及び", "君", "彼", "彼女", "後", "時", "様",
    "此", "為", "物", "的", "私", "等", "者", "間",
};

static const char *const thai[] = {
    "กล่าว", "กว่า", "กัน", "กับ", "การ", "ก็", "ก่อน", "ขณะ", "ขอ", "ของ",
    "ขึ้น", "คง", "ครับ", "ครั้ง", "ความ", "คือ", "คุณ", "ค่ะ", "จะ", "จาก",
    "จึง", "ฉัน", "ซึ่ง", "ดัง", "ด้วย", "ด้าน", "ตั้งแต่", "ตาม", "ต่อ",
    "ต่าง", "ต้อง", "ถึง", "ถูก", "ถ้า", "ทั้ง", "ทั้งนี้", "ทำ", "ทำให้",
    "ที่", "ที่สุด", "ทุก", "นอกจาก", "นะ", "นัก", "นั้น", "นี้", "น่า", "บาง",
    "ผม", "ผล", "ผ่าน", "พบ", "พร้อม", "พวก", "มัน", "มา", "มาก", "มี", "ยัง",
    "รวม", "ระหว่าง", "รับ", "ลง", "วัน", "ว่า", "สำหรับ", "ส่ง", "ส่วน",
    "หนึ่ง", "หรือ", "หลัง", "หลาย", "หาก", "อยาก", "อยู่", "อย่าง", "ออก",
    "อะไร", "อาจ", "อีก", "เขา", "เข้า", "เคย", "เฉพาะ", "เช่น", "เดียว",
    "เธอ", "เนื่องจาก", "เป็น", "เป็นการ", "เพราะ", "เพื่อ", "เมื่อ", "เรา",
    "เริ่ม", "เลย", "เอง", "แต่", "แบบ", "แรก", "และ", "แล้ว", "แห่ง", "โดย",
    "ใน", "ให้", "ได้", "ไป", "ไม่", "ไว้",
};

static const char *const arabic[] = {
    "أ", "أن", "أنا", "أنت", "أنه", "أنها", "أو", "أي", "أيضا", "إذا", "إلا",
    "إلى", "إن", "إنه", "الآن", "التي", "الذي", "الذين", "اللذين", "اللواتي",
    "بأن", "بعد", "بعض", "بل", "بما", "بن", "به", "بها", "بين", "بينما", "تحت",
    "تكون", "تلك", "ثم", "جدا", "حتى", "حول", "حيث", "خلال", "دون", "ذلك",
    "سوف", "سوى", "ضد", "ضمن", "عبر", "عدم", "على", "عليه", "عليها", "عن",
    "عند", "عندما", "غير", "فإن", "فقد", "فقط", "في", "فيه", "فيها", "قبل",
    "قد", "كان", "كانت", "كل", "كما", "كنت", "كيف", "لأن", "لا", "لدى", "لقد",
    "لك", "لكل", "لكن", "لم", "لن", "له", "لها", "لهم", "لو", "ليس", "ليست",
    "ما", "ماذا", "مثل", "مع", "معظم", "من", "منذ", "منه", "منها", "نحن",
    "نحو", "هذا", "هذه", "هل", "هم", "هنا", "هناك", "هو", "هي", "و", "وأن",
    "وقد", "ولا", "ولكن", "ولم", "وليس", "وما", "ومع", "ومن", "وهذا", "وهو",
    "وهي", "يا", "يتم", "يكون", "يمكن",
};

/* clang-format on */

#define WORD_BYTES_MAX 64 /* no stop word is as long */
#define HITS_MIN       3  /* from here on a guess may be of two languages */

struct list {
    const char *const *words;
    size_t count;
};

#define LANGUAGE_LIST(name) { (name), sizeof(name) / sizeof((name)[0]) },
static const struct list lists[] = { LANGUAGES(LANGUAGE_LIST) };
#undef LANGUAGE_LIST

#define LIST_COUNT (sizeof(lists) / sizeof(lists[0]))

static int
compare(const void *key, const void *entry)
{
    const struct slice *word = key;
    const char *listed = *(const char *const *)entry;
    size_t bytes = strlen(listed);
    size_t least = word->bytes < bytes ? word->bytes : bytes;
    int order = memcmp(word->data, listed, least);

    if (order == 0)
        order = (word->bytes > bytes) - (word->bytes < bytes);
    return order;
}

static bool
is_listed(const struct list *list, struct slice word)
{
    return bsearch(&word, list->words, list->count, sizeof(list->words[0]),
                   compare) != NULL;
}

/* The languages of `among` that list the word. */
static unsigned
languages_of(unsigned among, struct slice word)
{
    unsigned found = 0;

    for (unsigned i = 0; i < LIST_COUNT; i++) {
        if ((among & 1U << i) && is_listed(&lists[i], word))
            found |= 1U << i;
    }
    return found;
}

/* What is left of a word on one side of an apostrophe: `l'`, `qu'`, `'ll`. */
static bool
is_clitic(unsigned languages, struct slice part)
{
    static const char *const clitics[] = { "ll", "qu", "re", "ve" };

    if (part.bytes <= 1)
        return true;
    for (size_t i = 0; i < sizeof(clitics) / sizeof(clitics[0]); i++) {
        if (slice_is(part, clitics[i]))
            return true;
    }
    return languages_of(languages, part) != 0;
}

static bool
is_contraction(unsigned languages, struct slice word)
{
    static const char curly[] = "\xE2\x80\x99"; /* U+2019 */
    char plain[WORD_BYTES_MAX];
    size_t bytes = 0, start = 0;

    for (size_t i = 0; i < word.bytes; i++) {
        if (word.bytes - i >= 3 && memcmp(word.data + i, curly, 3) == 0) {
            plain[bytes++] = '\'';
            i += 2;
        } else {
            plain[bytes++] = word.data[i];
        }
    }
    if (!memchr(plain, '\'', bytes))
        return false;
    if (languages_of(languages, (struct slice){ plain, bytes }))
        return true;
    for (size_t i = 0; i <= bytes; i++) {
        if (i < bytes && plain[i] != '\'')
            continue;
        if (!is_clitic(languages, (struct slice){ plain + start, i - start }))
            return false;
        start = i + 1;
    }
    return true;
}

/* The languages with the most hits. Of few hits, many are some other language's
 * by chance, and one language is enough to explain them: the first. Of many,
 * close relatives (Danish and Norwegian) may both apply. */
static unsigned
choose(const unsigned *hits, unsigned most)
{
    unsigned languages = 0;

    for (unsigned i = 0; i < LIST_COUNT; i++) {
        if (most < HITS_MIN && hits[i] == most)
            return 1U << i;
        if (hits[i] * 3 >= most * 2)
            languages |= 1U << i;
    }
    return languages;
}

unsigned
stopwords_guess(struct text_rules *rules, struct slice text)
{
    unsigned hits[LIST_COUNT] = { 0 }, most = 0;
    struct buf folded = { 0 };
    struct slice word;

    text_words_begin(rules, text);
    for (int n = 0; n < STOPWORDS_GUESS_WORDS_MAX; n++) {
        unsigned found;

        if (!text_word_next(rules, &word))
            break;
        if (word.bytes > WORD_BYTES_MAX)
            continue;
        text_fold(rules, word, &folded);
        found = languages_of(STOPWORDS_ALL, buf_slice(&folded));
        for (unsigned i = 0; i < LIST_COUNT; i++) {
            hits[i] += found >> i & 1;
            if (hits[i] > most)
                most = hits[i];
        }
    }
    buf_fini(&folded);
    return most ? choose(hits, most) : STOPWORDS_ALL;
}

bool
stopwords_has(unsigned languages, struct slice word)
{
    if (word.bytes == 0 || word.bytes > WORD_BYTES_MAX)
        return false;
    return languages_of(languages, word) != 0 ||
           is_contraction(languages, word);
}

const char *const *
stopwords_list(unsigned language, size_t *count)
{
    if (language >= LIST_COUNT)
        return NULL;
    *count = lists[language].count;
    return lists[language].words;
}
