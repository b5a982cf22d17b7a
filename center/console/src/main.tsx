import { render } from 'preact';
import './style.css';

const app = document.getElementById('app');
if (app) render(<main>davy</main>, app);
