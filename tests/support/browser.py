"""What a browser does with pages that have no scripts: keeps cookies, follows redirects, fills in forms."""
import html.parser
import urllib.parse

from .raw_http import request


class _Forms(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.forms, self.texts, self.options = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.forms.append({"action": attributes["action"], "fields": {}})
        elif tag == "input" and "name" in attributes:
            self.forms[-1]["fields"][attributes["name"]] = attributes.get("value") or ""
        elif tag == "select":
            self.forms[-1]["fields"][attributes["name"]] = ""
            self._select = attributes["name"]
        elif tag == "option":
            self.options.append(attributes["value"])
            if not self.forms[-1]["fields"][self._select]:
                self.forms[-1]["fields"][self._select] = attributes["value"]

    def handle_data(self, data):
        self.texts.append(data)


class Page:
    def __init__(self, response):
        self.response, self.status = response, response.status
        self.source = response.body.decode()
        self._parsed = _Forms(self.source)
        self.text = " ".join("".join(self._parsed.texts).split())
        self.options = self._parsed.options

    def header(self, name):
        return self.response.header(name)

    def form(self, action, number=0):
        """The fields of a form as the page filled them in."""
        return dict([form for form in self._parsed.forms if form["action"] == action][number]["fields"])


class Browser:
    def __init__(self, target, headers=None):
        self.target, self.cookies = target, {}
        host = f"{target[0]}:{target[1]}"
        self.own_headers = {"origin": f"http://{host}"} if headers is None else headers
        self.last_cookie = ""     # the last Set-Cookie in whole

    def _request(self, method, path, body=None, headers=None):
        fields = {"user-agent": "test-browser", **(headers or {})}
        if self.cookies:
            fields["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response = request(self.target, method, path, body, fields)
        for name, value in response.headers:
            if name == "set-cookie":
                self.last_cookie = value
                pair, _, rest = value.partition(";")
                key, _, content = pair.partition("=")
                if "Max-Age=0" in rest.replace(" ", "").split(";"):
                    self.cookies.pop(key, None)
                else:
                    self.cookies[key] = content
        return response

    def get(self, path):
        response = self._request("GET", path)
        return self._follow(response)

    def submit(self, action, fields, headers=None, follow=True):
        body = urllib.parse.urlencode(fields).encode()
        own = {"content-type": "application/x-www-form-urlencoded"} | (self.own_headers if headers is None else headers)
        response = self._request("POST", action, body, own)
        return self._follow(response) if follow else Page(response)

    def _follow(self, response):
        for _ in range(5):
            if response.status != 303:
                return Page(response)
            response = self._request("GET", response.header("location"))
        raise AssertionError("the server redirects without end")
