"""The countries that the invented people live in: names, cities, dialling code, how a company
signs.

A name whose script has no obvious ASCII form carries one after `=`; it becomes the local part of
the e-mail address.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
                          "ı": "i", "æ": "ae", "Æ": "Ae", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Name:
    """How a name is written, and its lower-case ASCII form (letters and digits only, never empty)."""

    written: str
    ascii: str


@dataclass(frozen=True, slots=True)
class Place:
    country: str
    dial: str
    legal: str
    first: tuple[Name, ...]
    last: tuple[Name, ...]
    cities: tuple[str, ...]


def fold(text: str) -> str:
    """Lower-case ASCII letters and digits of `text`; everything else is dropped."""
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return re.sub(r"[^a-z0-9]", "", plain.lower())


def _names(text: str) -> tuple[Name, ...]:
    pairs = (entry.strip().partition("=") for entry in text.split(","))
    return tuple(Name(written, given or fold(written)) for written, _, given in pairs)


def _place(country: str, dial: str, legal: str, first: str, last: str, cities: str) -> Place:
    return Place(
        country,
        dial,
        legal,
        _names(first),
        _names(last),
        tuple(c.strip() for c in cities.split(",")),
    )


PLACES: tuple[Place, ...] = (
    _place(
        "United States", "1", "Inc.",
        "James, Mary, Michael, Jennifer, Robert, Linda, David, Elizabeth, Noah, Ava, Ethan, Mia, Tyrone, Savannah",
        "Smith, Johnson, Williams, Brown, Jones, Miller, Davis, Wilson, Anderson, Taylor, Moore, Jackson, White",
        "Austin TX, Denver CO, New York NY, San Francisco CA, Chicago IL, Atlanta GA, Boston MA",
    ),
    _place(
        "United Kingdom", "44", "Ltd",
        "Oliver, Amelia, Harry, Isla, George, Poppy, Alfie, Freya, Imogen, Rhys, Callum, Beatrice",
        "Hughes, Wright, Thompson, Walker, Green, Hall, Wood, Clarke, Lloyd, MacDonald, Ashworth, Whitfield",
        "London, Manchester, Bristol, Leeds, Edinburgh, Cardiff",
    ),
    _place(
        "Ireland", "353", "Ltd",
        "Seán, Aoife, Conor, Niamh, Cian, Saoirse, Pádraig, Róisín, Eoin, Caoimhe",
        "O'Brien, Murphy, Kelly, O'Sullivan, Walsh, Byrne, Ryan, Doyle, Ní Bhriain, McCarthy",
        "Dublin, Cork, Galway, Limerick",
    ),
    _place(
        "Germany", "49", "GmbH",
        "Lukas, Anna, Jürgen, Sophie, Matthias, Käthe, Jörg, Lena, Björn, Franziska, Uwe, Miriam",
        "Müller, Schmidt, Schneider, Fischer, Weiß, Köhler, Schröder, Vogel, von der Heide, Groß, Bäcker, Lüdtke",
        "Berlin, Hamburg, München, Köln, Leipzig, Düsseldorf",
    ),
    _place(
        "Austria", "43", "GmbH",
        "Felix, Valentina, Tobias, Magdalena, Sebastian, Elisabeth, Florian, Theresa",
        "Gruber, Huber, Bauer, Steiner, Moser, Hofstätter, Pöchlauer, Wögerbauer",
        "Wien, Graz, Linz, Salzburg",
    ),
    _place(
        "France", "33", "SAS",
        "Élodie, Jean-Baptiste, Chloé, François, Amélie, Théo, Noémie, Benoît, Inès, Loïc, Hélène, Rémi",
        "Martin, Bernard, Lefèvre, Dubois, Moreau, Girard, Bonnet, L'Hermitte, de La Fontaine, Benoît, Gauthier",
        "Paris, Lyon, Marseille, Nantes, Bordeaux, Lille",
    ),
    _place(
        "Spain", "34", "S.L.",
        "Lucía, Alejandro, María José, Íñigo, Nuria, Álvaro, Begoña, Rubén, Concepción, Iker",
        "García Márquez, Fernández, Muñoz, Ibáñez, Peña, Rodríguez, Núñez, Etxeberria, Ortega, Cañizares",
        "Madrid, Barcelona, Valencia, Málaga, Bilbao",
    ),
    _place(
        "Portugal", "351", "Lda.",
        "João, Inês, Gonçalo, Beatriz, Tomás, Conceição, Rui, Mafalda",
        "Silva, Gonçalves, Magalhães, Pereira, Brandão, Simões, Araújo, Vasconcelos",
        "Lisboa, Porto, Braga, Coimbra",
    ),
    _place(
        "Brazil", "55", "Ltda.",
        "Thiago, Júlia, Caio, Letícia, Antônio, Fernanda, Luís, Débora, Vinícius, Taís",
        "Souza, Oliveira, Conceição, Ribeiro, Araújo, Galvão, Assunção, Nascimento, Leão",
        "São Paulo, Curitiba, Recife, Florianópolis",
    ),
    _place(
        "Italy", "39", "S.r.l.",
        "Giulia, Matteo, Chiara, Niccolò, Alessandra, Davide, Federica, Pietro, Ginevra, Raffaele",
        "Rossi, Bianchi, D'Angelo, Ferrari, Dell'Acqua, Esposito, Ricci, Nicolò, Marchetti, Lo Presti",
        "Milano, Roma, Torino, Bologna, Napoli",
    ),
    _place(
        "Netherlands", "31", "B.V.",
        "Daan, Sanne, Bram, Fleur, Jeroen, Lotte, Thijs, Marijke",
        "de Vries, van den Berg, Jansen, Bakker, Visser, van 't Hof, Mulder, ter Horst",
        "Amsterdam, Utrecht, Rotterdam, Eindhoven",
    ),
    _place(
        "Sweden", "46", "AB",
        "Åsa, Björn, Elin, Gustaf, Maja, Östen, Linnéa, Håkan, Saga, Torbjörn",
        "Lindström, Åkesson, Bergqvist, Nyström, Sjöberg, Öberg, Hägglund, Wallin",
        "Stockholm, Göteborg, Malmö, Umeå",
    ),
    _place(
        "Denmark", "45", "ApS",
        "Søren, Mette, Jørgen, Freja, Kåre, Signe, Anders, Bodil",
        "Sørensen, Kjær, Nørgaard, Højgaard, Mikkelsen, Østergaard, Friis, Thorup",
        "København, Aarhus, Odense, Aalborg",
    ),
    _place(
        "Iceland", "354", "ehf.",
        "Sigurður, Þórdís, Guðrún, Björk, Ólafur, Ásta, Haukur, Æsa",
        "Jónsson, Guðmundsdóttir, Þórsson, Ægisdóttir, Sigurðardóttir, Hallgrímsson",
        "Reykjavík, Akureyri",
    ),
    _place(
        "Finland", "358", "Oy",
        "Aino, Väinö, Päivi, Mikko, Sanna, Jyrki, Elina, Antti",
        "Mäkinen, Hämäläinen, Korhonen, Yli-Hannuksela, Räsänen, Virtanen, Nieminen, Öhman",
        "Helsinki, Tampere, Jyväskylä, Oulu",
    ),
    _place(
        "Poland", "48", "Sp. z o.o.",
        "Łukasz, Małgorzata, Paweł, Zofia, Wojciech, Agnieszka, Stanisław, Żaneta",
        "Kowalski, Wiśniewska, Wójcik, Szczęsny, Dąbrowska, Zieliński, Łaska, Brzęczyszczykiewicz",
        "Warszawa, Kraków, Wrocław, Łódź, Gdańsk",
    ),
    _place(
        "Czechia", "420", "s.r.o.",
        "Tomáš, Kateřina, Jiří, Lenka, Ondřej, Zdeňka, Řehoř, Eliška",
        "Novák, Dvořáková, Černý, Procházková, Růžička, Šťastný, Hájková, Kříž",
        "Praha, Brno, Ostrava, Plzeň",
    ),
    _place(
        "Hungary", "36", "Kft.",
        "Zsófia, László, Eszter, Győző, Ágnes, Balázs, Réka, Ödön",
        "Nagy, Kovács, Tóth, Szűcs, Erdős, Őri, Horváth, Vörösmarty",
        "Budapest, Debrecen, Szeged, Győr",
    ),
    _place(
        "Türkiye", "90", "A.Ş.",
        "Ayşe, Mehmet, Çağla, İbrahim, Gül, Uğur, Şebnem, Barış",
        "Yılmaz, Öztürk, Çelik, Şahin, Güneş, Aydın, Kılıç, Erdoğdu",
        "İstanbul, Ankara, İzmir, Eskişehir",
    ),
    _place(
        "Greece", "30", "Α.Ε.",
        "Γιώργος=giorgos, Ελένη=eleni, Δημήτρης=dimitris, Κατερίνα=katerina, Νίκος=nikos, Φωτεινή=foteini",
        "Παπαδόπουλος=papadopoulos, Νικολάου=nikolaou, Οικονόμου=oikonomou, Αγγελίδης=angelidis, Ξένου=xenou",
        "Αθήνα, Θεσσαλονίκη, Πάτρα",
    ),
    _place(
        "Ukraine", "380", "ТОВ",
        "Олександр=oleksandr, Оксана=oksana, Андрій=andrii, Юлія=yuliia, Богдан=bohdan, Соломія=solomiia",
        "Шевченко=shevchenko, Коваленко=kovalenko, Бондар=bondar, Лисенко=lysenko, Їжакевич=yizhakevych",
        "Київ, Львів, Харків, Одеса",
    ),
    _place(
        "Israel", "972", "בע״מ",
        "נועה=noa, דוד=david, תמר=tamar, איתן=eitan, שירה=shira, יונתן=yonatan",
        "כהן=cohen, לוי=levi, מזרחי=mizrahi, פרידמן=friedman, אברהם=avraham",
        "Tel Aviv, Haifa, Jerusalem",
    ),
    _place(
        "United Arab Emirates", "971", "FZ-LLC",
        "فاطمة=fatima, محمد=mohammed, ليلى=layla, عمر=omar, مريم=maryam, خالد=khalid",
        "الهاشمي=alhashimi, المنصوري=almansoori, النجار=alnajjar, العلي=alali, حداد=haddad",
        "Dubai, Abu Dhabi, Sharjah",
    ),
    _place(
        "India", "91", "Pvt. Ltd.",
        "Aarav, Priya, Rohan, Ananya, Vikram, Kavya, Arjun, Meera, Sanjay, Lakshmi",
        "Sharma, Patel, Iyer, Reddy, Banerjee, Nair, Chaudhary, Subramanian, Kulkarni, Singh",
        "Bengaluru, Mumbai, Hyderabad, Pune",
    ),
    _place(
        "China", "86", "有限公司",
        "伟=wei, 芳=fang, 秀英=xiuying, 强=qiang, 雨桐=yutong, 浩然=haoran, 静怡=jingyi",
        "王=wang, 李=li, 张=zhang, 刘=liu, 陈=chen, 欧阳=ouyang, 诸葛=zhuge",
        "上海, 深圳, 杭州, 北京",
    ),
    _place(
        "Japan", "81", "株式会社",
        "翔太=shota, 陽菜=hina, 健一=kenichi, さくら=sakura, 大輔=daisuke, 美咲=misaki, 蓮=ren",
        "佐藤=sato, 鈴木=suzuki, 高橋=takahashi, 渡辺=watanabe, 小笠原=ogasawara, 長谷川=hasegawa",
        "東京, 大阪, 名古屋, 福岡",
    ),
    _place(
        "South Korea", "82", "주식회사",
        "민준=minjun, 서연=seoyeon, 지훈=jihun, 하은=haeun, 도윤=doyun, 수빈=subin",
        "김=kim, 이=lee, 박=park, 최=choi, 정=jung, 남궁=namgung",
        "Seoul, Busan, Incheon",
    ),
    _place(
        "Vietnam", "84", "TNHH",
        "Hương, Đức, Thảo, Tuấn, Ngọc, Quỳnh, Hiếu, Linh",
        "Nguyễn, Trần, Phạm, Đặng, Bùi, Huỳnh, Võ, Dương",
        "Hà Nội, Đà Nẵng, Hồ Chí Minh",
    ),
    _place(
        "Nigeria", "234", "Ltd",
        "Chinedu, Adaeze, Olúwaṣeun, Ngozi, Ẹniọlá, Ibrahim, Folasadé, Emeka",
        "Okonkwo, Adéyẹmí, Balogun, Nwosu, Ọlátúnjí, Eze, Danjuma",
        "Lagos, Abuja, Ibadan",
    ),
    _place(
        "Mexico", "52", "S.A. de C.V.",
        "Ximena, José Ángel, Guadalupe, Andrés, Citlali, Jesús, Sofía, Raúl",
        "Hernández, Ramírez, Peñaloza, Gutiérrez, Xochitl, Ordóñez, Yáñez, Cárdenas",
        "Ciudad de México, Guadalajara, Monterrey, Mérida",
    ),
)  # fmt: skip
