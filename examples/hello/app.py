"""The classic first Flask app, and a few views to look at beside it."""

import hashlib
import time

from flask import Flask, render_template, request

app = Flask(__name__)

CHUNK = 1 << 16


@app.route('/')
def hello():
    return 'Hello, Word'


@app.route('/tour')
def tour():
    return render_template('tour.html')


@app.route('/form', methods=['GET', 'POST'])
def form():
    return render_template('form.html', sent=request.form if request.method == 'POST' else None)


@app.route('/upload', methods=['GET', 'POST'])
def upload():
    sent = request.files.get('file')
    return render_template('upload.html', received=describe(sent) if sent else None)


def describe(sent):
    """Read the file a chunk at a time, so that its size costs time but no memory."""
    digest = hashlib.sha256()
    size = 0
    while chunk := sent.stream.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return {'name': sent.filename, 'size': size, 'sha256': digest.hexdigest()}


@app.route('/slow')
def slow():
    time.sleep(2)
    return render_template('slow.html')


@app.route('/stream')
def stream():
    return count(8, pause=0.5), {'Content-Type': 'text/plain; charset=utf-8'}


def count(lines, pause):
    """Yield one line at a time; each leaves as soon as it is yielded."""
    started = time.monotonic()
    for number in range(1, lines + 1):
        yield f'line {number} of {lines}, {time.monotonic() - started:.1f} s after the first\n'
        if number < lines:
            time.sleep(pause)


@app.route('/live')
def live():
    return render_template('live.html')


@app.route('/boom')
def boom():
    return 1 / 0


if __name__ == '__main__':
    app.run(host='0.0.0.0', port='8000')
