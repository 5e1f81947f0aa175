# Parses XML with an entity that is a file of the host.
# ends: program|ran
import xml.sax
import io

def run(input):
    class Handler(xml.sax.ContentHandler):
        text = ""
        def characters(self, content):
            self.text += content
    handler = Handler()
    parser = xml.sax.make_parser()
    parser.setFeature(xml.sax.handler.feature_external_ges, True)
    parser.setContentHandler(handler)
    parser.parse(io.StringIO('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'))
    return handler.text
